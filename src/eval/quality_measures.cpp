#include "eval/quality_measures.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "eval/metrics/label_metrics.h"
#include "lora/base/text.h"

namespace lora {
namespace {

/// A figure as a function of sums over rows.
struct Definition {
  std::string name;
  std::function<std::vector<Statistics>(const Quality&)> rows;
  ValueOfSum value;
};

std::function<std::vector<Statistics>(const Quality&)> of_each(
    std::function<Statistics(const RowOutcome&)> statistics) {
  return [statistics = std::move(statistics)](const Quality& quality) {
    std::vector<Statistics> rows;
    for (const RowOutcome& outcome : quality.outcomes) rows.push_back(statistics(outcome));
    return rows;
  };
}

/// Values of a regressor and labels.
std::pair<std::vector<double>, std::vector<double>> values_of(const Quality& quality) {
  std::pair<std::vector<double>, std::vector<double>> values;
  for (const RowOutcome& outcome : quality.outcomes) {
    values.first.push_back(outcome.true_value);
    values.second.push_back(outcome.value);
  }
  return values;
}

std::vector<Statistics> value_moments(const Quality& quality) {
  const auto [truth, predicted] = values_of(quality);
  return moments(truth, predicted);
}

/// Ranks are those in the whole set: samples of it keep them.
std::vector<Statistics> rank_moments(const Quality& quality) {
  const auto [truth, predicted] = values_of(quality);
  return moments(ranks(truth), ranks(predicted));
}

Statistics right_and_one(std::int64_t truth, std::int64_t predicted) {
  return {truth == predicted ? 1.0 : 0.0, 1.0};
}

double ratio(const Statistics& sum) { return sum[1] > 0 ? sum[0] / sum[1] : 0; }
double exp_ratio(const Statistics& sum) { return std::exp(ratio(sum)); }
double ratio_in_bits(const Statistics& sum) { return ratio(sum) / std::numbers::ln2; }

Statistics loss_and_tokens(const RowOutcome& row) { return {row.loss, static_cast<double>(row.labelled)}; }
Statistics loss_and_bytes(const RowOutcome& row) { return {row.loss, static_cast<double>(row.bytes)}; }

std::vector<Definition> definitions(const Quality& quality, std::size_t classes) {
  std::vector<Definition> all{{"loss", of_each(loss_and_tokens), ratio}};
  if (quality.task == Task::regression) {
    all.push_back({"pearson", value_moments, correlation});
    all.push_back({"spearman", rank_moments, correlation});
    return all;
  }
  if (quality.bytes > 0) {
    all.push_back({"perplexity_per_token", of_each(loss_and_tokens), exp_ratio});
    all.push_back({"perplexity_per_byte", of_each(loss_and_bytes), exp_ratio});
    all.push_back({"bits_per_byte", of_each(loss_and_bytes), ratio_in_bits});
  }
  const bool asked = std::all_of(quality.outcomes.begin(), quality.outcomes.end(),
                                 [](const RowOutcome& row) { return row.predicted >= 0; });
  if (!asked) return all;
  if (classes > 0) {
    const auto counts =
        of_each([classes](const RowOutcome& row) { return class_counts(row.truth, row.predicted, classes); });
    all.push_back({"accuracy", counts, accuracy});
    all.push_back({"f1_macro", counts, f1_macro});
    if (classes > 2) all.push_back({"f1_micro", counts, f1_micro});
    all.push_back({"matthews", counts, matthews});
  } else {
    all.push_back({"accuracy",
                   of_each([](const RowOutcome& row) { return right_and_one(row.truth, row.predicted); }),
                   ratio});
    all.push_back({"accuracy_by_byte", of_each([](const RowOutcome& row) {
                     return right_and_one(row.truth, row.predicted_by_byte);
                   }),
                   ratio});
  }
  all.push_back({"calibration_error", of_each([](const RowOutcome& row) {
                   return calibration_bins(row.confidence, row.truth == row.predicted);
                 }),
                 calibration_error});
  return all;
}

}  // namespace

std::vector<Measure> measures_of(const Quality& quality, const Quality* baseline,
                                 const std::vector<std::string>& classes, int samples) {
  std::vector<Measure> measures;
  Statistics counts;
  for (const Definition& definition : definitions(quality, classes.size())) {
    const auto rows = definition.rows(quality);
    const auto others = baseline ? definition.rows(*baseline) : std::vector<Statistics>();
    measures.push_back(
        {estimate(rows, baseline ? &others : nullptr, definition.value, samples), definition.name});
    if (definition.name == "accuracy" && !classes.empty()) counts = sum_of(rows);
  }
  if (counts.empty()) return measures;
  for (std::size_t i = 0; i < classes.size(); ++i)
    measures.push_back({{f1_of_class(counts, i), {}, {}}, cat("f1:", trim(classes[i]))});
  return measures;
}

}  // namespace lora
