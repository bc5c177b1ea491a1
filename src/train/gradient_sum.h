#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "lora/train/optimizer.h"

namespace lora {

/// Where backward passes add the gradients of trained tensors: to the optimizer's own, or to a sum apart,
/// which another thread may fill at the same time.
class GradientSum {
 public:
  /// The optimizer's own.
  GradientSum() = default;
  /// Apart, zero.
  explicit GradientSum(const AdamW& optimizer);

  /// Backward from `root`, with the gradient `upstream` (undefined: one). Returns the gradient of `input`, a
  /// leaf that is not trained, if it is given.
  at::Tensor backward(const at::Tensor& root, const at::Tensor& upstream = {}, const at::Tensor& input = {});

  void zero();
  /// All of them, in the optimizer's order; undefined for the optimizer's own.
  const at::Tensor& flat() const { return flat_; }

 private:
  std::vector<at::Tensor> trained_, sums_;  ///< sums are views of flat_
  at::Tensor flat_;
};

}  // namespace lora
