#include "kernels/softmax_loss.h"

#include <cmath>

#include "kernels/vector_math.h"

namespace lora {
namespace {

constexpr std::int64_t kBlock = 4096;

/// Largest and, with `adds`, sum of the row; NaN is no largest number.
struct Extent {
  float largest;
  double sum;
};

LORA_INLINE Extent extent(const float* x, std::int64_t count, bool adds) {
  float best[kLanes], part[kLanes];
  for (float& lane : best) lane = -__builtin_inff();
  double sum = 0;
  for (std::int64_t begin = 0; begin < count; begin += kBlock) {
    const std::int64_t end = begin + kBlock < count ? begin + kBlock : count;
    std::int64_t i = begin;
    for (float& lane : part) lane = 0;
    for (; i + kLanes <= end; i += kLanes)
      for (std::int64_t lane = 0; lane < kLanes; ++lane) {
        const float value = x[i + lane];
        best[lane] = value > best[lane] ? value : best[lane];
        if (adds) part[lane] += value;
      }
    for (; i < end; ++i) {
      best[0] = x[i] > best[0] ? x[i] : best[0];
      part[0] += x[i];
    }
    for (const float lane : part) sum += lane;
  }
  float largest = best[0];
  for (const float lane : best) largest = lane > largest ? lane : largest;
  return {largest, sum};
}

/// Sum of e^(x - shift); with `keeps`, x becomes the terms.
template <bool keeps, typename Number>
LORA_INLINE double exponential_sum(Number* x, std::int64_t count, float shift) {
  double sum = 0;
  for (std::int64_t begin = 0; begin < count; begin += kBlock) {
    const std::int64_t end = begin + kBlock < count ? begin + kBlock : count;
    float part[kLanes] = {};
    std::int64_t i = begin;
    for (; i + kLanes <= end; i += kLanes)
      for (std::int64_t lane = 0; lane < kLanes; ++lane) {
        const float term = vector_exp(x[i + lane] - shift);
        if constexpr (keeps) x[i + lane] = term;
        part[lane] += term;
      }
    for (; i < end; ++i) {
      const float term = vector_exp(x[i] - shift);
      if constexpr (keeps) x[i] = term;
      part[0] += term;
    }
    for (const float lane : part) sum += lane;
  }
  return sum;
}

/// Of a row whose logit of the target is `at_target`.
double loss_of(const Extent& row, double exponentials, float at_target, std::int64_t count,
               double smoothing) {
  const double normaliser = static_cast<double>(row.largest) + std::log(exponentials);
  const double loss = normaliser - static_cast<double>(at_target);
  if (smoothing == 0) return loss;
  return (1 - smoothing) * loss + smoothing * (normaliser - row.sum / static_cast<double>(count));
}

}  // namespace

LORA_EVERY_VECTOR_WIDTH
double softmax_loss(const float* x, std::int64_t count, std::int64_t target, double smoothing) {
  const Extent row = extent(x, count, smoothing != 0);
  return loss_of(row, exponential_sum<false>(x, count, row.largest), x[target], count, smoothing);
}

LORA_EVERY_VECTOR_WIDTH
double softmax_loss_gradient(float* x, std::int64_t count, std::int64_t target, double smoothing) {
  const float at_target = x[target];
  const Extent row = extent(x, count, smoothing != 0);
  const double exponentials = exponential_sum<true>(x, count, row.largest);
  const auto scale = static_cast<float>(1 / exponentials),
             share = static_cast<float>(smoothing / static_cast<double>(count));
  for (std::int64_t i = 0; i < count; ++i) x[i] = x[i] * scale - share;
  x[target] -= static_cast<float>(1 - smoothing);
  return loss_of(row, exponentials, at_target, count, smoothing);
}

}  // namespace lora
