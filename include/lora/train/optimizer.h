#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace lora {

struct AdamWOptions {
  double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, weight_decay = 0.01;
};

/// A tensor to train, and what the learning rate is multiplied by for it (LoRA+: arXiv:2402.12354).
struct TrainedTensor {
  at::Tensor* tensor = nullptr;
  double rate = 1;
};

/// AdamW (Loshchilov & Hutter 2019, arXiv:1711.05101) on flat float32 buffers: values, gradients and both
/// moments are one tensor each; the trained tensors are views of them. Clipping and zeroing are one operation
/// each.
class AdamW {
 public:
  /// Moves `parameters` into the flat buffer: each becomes a leaf view that requires gradients, its `.grad` a
  /// view of the flat gradient. Tensors with fewer than two dimensions get no weight decay.
  AdamW(const std::vector<TrainedTensor>& parameters, AdamWOptions options);

  void zero_grad();
  /// Multiplies gradients by `scale`, clips their norm to `max_norm` (0 = no clipping); returns the norm
  /// before clipping.
  double scale_and_clip(double scale, double max_norm);
  void step(double learning_rate);

  /// Values, moments and the number of steps, to be given to restore() of an equal optimizer: "values",
  /// "first_moment", "second_moment" (both only after the first step), "steps".
  std::map<std::string, at::Tensor> state() const;
  /// mismatch error if sizes differ.
  void restore(const std::map<std::string, at::Tensor>& state);

  /// The trained tensors, in the buffer's order.
  const std::vector<at::Tensor>& trained() const { return trained_; }
  /// What one of them has in a buffer of this optimizer's layout: a view.
  static at::Tensor part(const at::Tensor& flat, const at::Tensor& trained);

  const at::Tensor& flat_values() const { return values_; }
  const at::Tensor& flat_gradients() const { return gradients_; }
  std::uint64_t moment_bytes() const { return first_moment_.nbytes() + second_moment_.nbytes(); }

 private:
  AdamWOptions options_;
  at::Tensor values_, gradients_, first_moment_, second_moment_;
  /// Neighbours in the buffers with one rate and one decay.
  struct Group {
    std::int64_t begin, length;
    double rate, weight_decay;
  };
  std::vector<Group> groups_;
  std::vector<at::Tensor> trained_;
  std::int64_t steps_ = 0;
};

}  // namespace lora
