#pragma once

#include <string>
#include <vector>

#include "eval/metrics/estimate.h"

namespace lora {

/// Texts of several systems on the same rows, measured by several metrics.
struct TextScores {
  std::vector<const TextMetric*> metrics;
  std::vector<std::string> names;             ///< of the systems
  std::vector<std::vector<Estimate>> values;  ///< [system][metric]
  std::size_t texts = 0;                      ///< of each system

  /// A line for each metric, a column for each system.
  std::string table() const;
  /// Metric -> estimate of one system.
  Json json(std::size_t system) const;
  /// Metric -> definition.
  Json definitions() const;
};

/// The metrics of these names; usage error for one that there is not.
std::vector<const TextMetric*> find_text_metrics(const std::vector<std::string>& names);

/// `texts[system]`: answers to the same rows in the same order. p-values are of the difference from the
/// system `baseline`. `samples`: of the bootstrap; 0: values only.
TextScores score_texts(std::vector<const TextMetric*> metrics, std::vector<std::string> names,
                       const std::vector<std::vector<ScoredText>>& texts, std::size_t baseline, int samples);

}  // namespace lora
