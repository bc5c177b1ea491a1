#pragma once

#include <string>
#include <vector>

#include "eval/metrics/estimate.h"
#include "lora/eval/evaluate.h"

namespace lora {

/// One quality figure of a model on a data set.
struct Measure : Estimate {
  std::string name;

  int digits() const { return name == "loss" ? 4 : 3; }  ///< that people are shown
};

/// loss (in loss_unit); where the labelled bytes were counted perplexity_per_token,
/// perplexity_per_byte = exp(nats / bytes) and bits_per_byte; where rows have classes or label words:
/// accuracy, f1_macro, f1_micro (of more than two), matthews, calibration_error, f1:NAME of each; where rows
/// have choices of their own: accuracy, accuracy_by_byte (of the choices' log-likelihood per byte),
/// calibration_error; of a regressor: pearson, spearman. `classes`: empty where there are none. `baseline`:
/// null for the baseline itself. `samples`: of the bootstrap; 0: values only. Single classes get neither
/// interval nor significance.
std::vector<Measure> measures_of(const Quality& quality, const Quality* baseline,
                                 const std::vector<std::string>& classes, int samples);

}  // namespace lora
