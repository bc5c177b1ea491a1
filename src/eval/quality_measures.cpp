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
  std::function<Statistics(const RowOutcome&)> statistics;
  ValueOfSum value;
};

double ratio(const Statistics& sum) { return sum[1] > 0 ? sum[0] / sum[1] : 0; }
double exp_ratio(const Statistics& sum) { return std::exp(ratio(sum)); }
double ratio_in_bits(const Statistics& sum) { return ratio(sum) / std::numbers::ln2; }

Statistics loss_and_tokens(const RowOutcome& row) { return {row.loss, static_cast<double>(row.labelled)}; }
Statistics loss_and_bytes(const RowOutcome& row) { return {row.loss, static_cast<double>(row.bytes)}; }

std::vector<Definition> definitions(const Quality& quality, std::size_t classes) {
  std::vector<Definition> all{{"loss", loss_and_tokens, ratio}};
  if (quality.bytes > 0) {
    all.push_back({"perplexity_per_token", loss_and_tokens, exp_ratio});
    all.push_back({"perplexity_per_byte", loss_and_bytes, exp_ratio});
    all.push_back({"bits_per_byte", loss_and_bytes, ratio_in_bits});
  }
  const bool asked = std::all_of(quality.outcomes.begin(), quality.outcomes.end(),
                                 [](const RowOutcome& row) { return row.predicted >= 0; });
  if (!asked) return all;
  const auto counts = [classes](const RowOutcome& row) {
    return class_counts(row.truth, row.predicted, classes);
  };
  all.push_back({"accuracy", counts, accuracy});
  all.push_back({"f1_macro", counts, f1_macro});
  all.push_back({"matthews", counts, matthews});
  all.push_back(
      {"calibration_error",
       [](const RowOutcome& row) { return calibration_bins(row.confidence, row.truth == row.predicted); },
       calibration_error});
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
  Statistics counts;
  for (const Definition& definition : definitions(quality, classes.size())) {
    const auto rows = rows_of(quality, definition);
    const auto others = baseline ? rows_of(*baseline, definition) : std::vector<Statistics>();
    measures.push_back(
        {estimate(rows, baseline ? &others : nullptr, definition.value, samples), definition.name});
    if (definition.name == "accuracy") counts = sum_of(rows);
  }
  if (counts.empty()) return measures;
  for (std::size_t i = 0; i < classes.size(); ++i)
    measures.push_back({{f1_of_class(counts, i), {}, {}}, cat("f1:", trim(classes[i]))});
  return measures;
}

}  // namespace lora
