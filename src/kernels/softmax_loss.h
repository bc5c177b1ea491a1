#pragma once

#include <cstdint>

namespace lora {

/// -log softmax(x)[target] of one row, with the smoothing of cross_entropy_sum; float32 sums of at most
/// 4,096 numbers, added in float64. Not finite if a logit is NaN or infinite.
double softmax_loss(const float* x, std::int64_t count, std::int64_t target, double smoothing);

/// The same; `x` becomes the gradient: softmax(x) minus the target's distribution.
double softmax_loss_gradient(float* x, std::int64_t count, std::int64_t target, double smoothing);

}  // namespace lora
