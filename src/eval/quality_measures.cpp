#include "eval/quality_measures.h"

#include <cmath>

#include "lora/base/text.h"

namespace lora {
namespace {

constexpr int kBins = 10;

/// A figure as a function of sums over rows.
struct Definition {
  std::string name;
  std::function<Statistics(const RowOutcome&)> statistics;
  ValueOfSum value;
};

double ratio(const Statistics& sum) { return sum[1] > 0 ? sum[0] / sum[1] : 0; }

/// For each class {rightly predicted, there, predicted}, then rows.
Statistics confusion(const RowOutcome& row, std::size_t classes) {
  Statistics counts(3 * classes + 1, 0.0);
  counts.back() = 1;
  if (row.truth >= 0) counts[3 * static_cast<std::size_t>(row.truth) + 1] = 1;
  counts[3 * static_cast<std::size_t>(row.predicted) + 2] = 1;
  if (row.truth == row.predicted) counts[3 * static_cast<std::size_t>(row.truth)] = 1;
  return counts;
}

double class_f1(const Statistics& sum, std::size_t number) {
  const double either = sum[3 * number + 1] + sum[3 * number + 2];
  return either > 0 ? 2 * sum[3 * number] / either : 0;
}

double macro_f1(const Statistics& sum) {
  double total = 0, classes = 0;
  for (std::size_t i = 0; 3 * i + 1 < sum.size(); ++i) {
    if (sum[3 * i + 1] + sum[3 * i + 2] == 0) continue;
    total += class_f1(sum, i);
    ++classes;
  }
  return classes > 0 ? total / classes : 0;
}

double matthews_of(const Statistics& sum) {
  const double rows = sum.back();
  double right = 0, products = 0, truth = 0, predicted = 0;
  for (std::size_t i = 0; 3 * i + 1 < sum.size(); ++i) {
    right += sum[3 * i];
    products += sum[3 * i + 1] * sum[3 * i + 2];
    truth += sum[3 * i + 1] * sum[3 * i + 1];
    predicted += sum[3 * i + 2] * sum[3 * i + 2];
  }
  const double scale = std::sqrt(rows * rows - truth) * std::sqrt(rows * rows - predicted);
  return scale > 0 ? (right * rows - products) / scale : 0;
}

/// Of each bin of confidence: rightly predicted minus confidence; then rows.
Statistics calibration(const RowOutcome& row) {
  Statistics bins(kBins + 1, 0.0);
  bins.back() = 1;
  const auto bin = std::min(static_cast<std::size_t>(std::max(std::ceil(row.confidence * kBins) - 1, 0.0)),
                            std::size_t{kBins - 1});
  bins[bin] = (row.truth == row.predicted ? 1.0 : 0.0) - row.confidence;
  return bins;
}

double calibration_error_of(const Statistics& sum) {
  double error = 0;
  for (int bin = 0; bin < kBins; ++bin) error += std::abs(sum[static_cast<std::size_t>(bin)]);
  return error / sum.back();
}

std::vector<Definition> definitions(const Quality& quality, std::size_t classes) {
  std::vector<Definition> all{
      {"loss", [](const RowOutcome& row) { return Statistics{row.loss, static_cast<double>(row.labelled)}; },
       ratio}};
  const bool asked = std::all_of(quality.outcomes.begin(), quality.outcomes.end(),
                                 [](const RowOutcome& row) { return row.predicted >= 0; });
  if (!asked) return all;
  const auto counts = [classes](const RowOutcome& row) { return confusion(row, classes); };
  all.push_back({"accuracy",
                 [](const RowOutcome& row) { return Statistics{row.truth == row.predicted ? 1.0 : 0.0, 1}; },
                 ratio});
  all.push_back({"f1_macro", counts, macro_f1});
  all.push_back({"matthews", counts, matthews_of});
  all.push_back({"calibration_error", calibration, calibration_error_of});
  return all;
}

std::vector<Statistics> rows_of(const Quality& quality, const Definition& definition) {
  std::vector<Statistics> rows;
  for (const RowOutcome& outcome : quality.outcomes) rows.push_back(definition.statistics(outcome));
  return rows;
}

}  // namespace

std::vector<Measure> measures_of(const Quality& quality, const Quality* baseline,
                                 const std::vector<std::string>& classes, int samples) {
  std::vector<Measure> measures;
  for (const Definition& definition : definitions(quality, classes.size())) {
    const auto rows = rows_of(quality, definition);
    Measure measure{definition.name, definition.value(sum_of(rows)), {}, {}};
    if (samples > 0) measure.interval = bootstrap_interval(rows, definition.value, samples);
    if (samples > 0 && baseline)
      measure.p_value = paired_p_value(rows_of(*baseline, definition), rows, definition.value, samples);
    measures.push_back(measure);
  }
  if (measures.size() == 1) return measures;
  Statistics counts(3 * classes.size() + 1, 0.0);
  for (const RowOutcome& outcome : quality.outcomes) {
    const Statistics row = confusion(outcome, classes.size());
    for (std::size_t i = 0; i < counts.size(); ++i) counts[i] += row[i];
  }
  for (std::size_t i = 0; i < classes.size(); ++i)
    measures.push_back({cat("f1:", trim(classes[i])), class_f1(counts, i), {}, {}});
  return measures;
}

}  // namespace lora
