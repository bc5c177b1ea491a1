#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace lora {

struct IntruderOptions {
  std::int64_t examined = 10;  ///< leading directions of the tuned weight
  double threshold = 0.5;      ///< an intruder's |cosine| with every direction of the base stays below
};

/// A leading direction of the tuned weight that the base does not have.
struct Intruder {
  std::int64_t index = 0;  ///< its number among the tuned weight's directions, from 0
  double singular_value = 0;
  double closest = 0;  ///< largest |cosine| with a left singular vector of the base
  at::Tensor u, v;     ///< float32 [out], [in]
};

/// Intruder dimensions of `tuned` against `base`, both [out, in]: left singular vectors u' of the tuned
/// weight with max over i of |<u', u_i>| below the threshold. Shuttleworth et al. 2024, "LoRA vs Full
/// Fine-tuning: An Illusion of Equivalence" (arXiv:2410.21228), algorithm 1; there they go with forgetting.
std::vector<Intruder> find_intruders(const at::Tensor& base, const at::Tensor& tuned,
                                     IntruderOptions options = {});

}  // namespace lora
