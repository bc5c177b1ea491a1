#pragma once

#include <ATen/core/Tensor.h>

#include "lora/adapter/adapter.h"
#include "lora/model/program.h"

namespace lora {

/// Logits of a small fixed batch, made by one version of a model and to be compared with another's.
struct ProbedLogits {
  ModelInputs inputs;
  at::Tensor logits;  ///< float64 [n, vocabulary] at the real tokens, or [rows, labels]
  std::int64_t rows = 0, tokens = 0;
};

/// Logits of the program with the adapters unmerged: hooks, and whole weights in place for as long as it
/// takes. The batch has rows of different lengths, padded on the right.
ProbedLogits probe_live(Program& program, const AdapterMix& mix);

/// How far a model is from what was probed.
struct LogitDifference {
  double largest = 0;   ///< max |difference|
  double relative = 0;  ///< largest / max |logit|
};
LogitDifference compare_with(const ProbedLogits& expected, const Program& program);

/// Relative difference that rounding merged weights to `type` explains.
double merge_tolerance(at::ScalarType type);

}  // namespace lora
