#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace lora {

/// What losses are multiplied by before the backward pass, so that gradients that pass through float16
/// neither vanish nor overflow (Micikevicius et al. 2018, arXiv:1710.03740, section 3.2). Powers of two:
/// gradients in range are the same bit by bit. An overflow costs an update and halves the scale;
/// kGrowthUpdates without one double it.
class LossScale {
 public:
  /// Off: the scale is and stays 1.
  explicit LossScale(bool on) : on_(on), value_(on ? kStart : 1) {}

  bool is_on() const { return on_; }
  double value() const { return value_; }

  /// After an update with a finite loss. True if the gradients were not finite and a lower scale, now set,
  /// may mend that.
  bool adapt(bool finite);

  at::Tensor state() const;
  void restore(const at::Tensor& state);

  static constexpr std::int64_t kGrowthUpdates = 200;

 private:
  /// Gradients here are of a sum over tokens, not of a mean: a small model overflows from 2^11 on.
  static constexpr double kStart = 512, kLargest = 16777216;

  bool on_;
  double value_;
  std::int64_t good_updates_ = 0;  ///< since the scale was last changed
};

}  // namespace lora
