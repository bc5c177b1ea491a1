#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace lora {

struct SamplingOptions {
  double temperature = 0;  ///< 0: the likeliest token
  std::int64_t top_k = 0;  ///< 0: all
  double top_p = 1;
  std::uint64_t seed = 42;
};

/// The next token given logits [vocabulary]; ties go to the lower id. A draw is a pure function of the seed,
/// the row and the step. As transformers' processors: temperature, then the k likeliest, then the likeliest
/// that together hold top_p (the one that passes it included).
std::int32_t choose_token(const at::Tensor& logits, const SamplingOptions& options, std::uint64_t row,
                          std::uint64_t step);

}  // namespace lora
