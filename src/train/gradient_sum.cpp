#include "train/gradient_sum.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/autograd.h>

namespace lora {

GradientSum::GradientSum(const AdamW& optimizer)
    : trained_(optimizer.trained()), flat_(at::zeros_like(optimizer.flat_gradients())) {
  for (const at::Tensor& tensor : trained_) sums_.push_back(optimizer.part(flat_, tensor));
}

at::Tensor GradientSum::backward(const at::Tensor& root, const at::Tensor& upstream,
                                 const at::Tensor& input) {
  if (!flat_.defined()) {
    root.backward(upstream);
    return input.defined() ? input.grad() : at::Tensor();
  }
  std::vector<at::Tensor> leaves = trained_;
  if (input.defined() && input.requires_grad()) leaves.push_back(input);
  const auto gradients = torch::autograd::grad({root}, leaves, {upstream}, /*retain_graph=*/false,
                                               /*create_graph=*/false, /*allow_unused=*/true);
  const at::NoGradGuard no_grad;
  for (std::size_t i = 0; i < sums_.size(); ++i)
    if (gradients[i].defined()) sums_[i].add_(gradients[i]);
  return gradients.size() > sums_.size() ? gradients.back() : at::Tensor();
}

void GradientSum::zero() {
  if (flat_.defined()) flat_.zero_();
}

}  // namespace lora
