#pragma once

#include <optional>
#include <string>
#include <vector>

#include "eval/metrics/bootstrap.h"
#include "lora/eval/evaluate.h"

namespace lora {

/// One quality figure of a model on a data set.
struct Measure {
  std::string name;
  double value = 0;
  std::optional<Interval> interval;
  std::optional<double> p_value;  ///< of the difference from the baseline, on the same rows
};

/// loss (nats per labelled token or row), and where rows have classes or label words: accuracy, f1_macro,
/// matthews, calibration_error (10 bins), f1:NAME of each. `baseline`: null for the baseline itself.
/// `samples`: of the bootstrap; 0: values only. Single classes get neither interval nor significance.
std::vector<Measure> measures_of(const Quality& quality, const Quality* baseline,
                                 const std::vector<std::string>& classes, int samples);

}  // namespace lora
