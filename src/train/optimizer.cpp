#include "lora/train/optimizer.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>

#include "lora/base/error.h"

namespace lora {
namespace {

/// Elements between which views begin: 64 bytes of float32, a cache line and an AVX-512 register. The gaps
/// have zero value and gradient for ever.
constexpr std::int64_t kAlignment = 16;

std::int64_t padded(std::int64_t count) { return (count + kAlignment - 1) / kAlignment * kAlignment; }

/// Sum of squares: float32 within chunks (MKL's dot product), float64 across them, without a copy of `flat`.
double squared_norm(const at::Tensor& flat) {
  constexpr std::int64_t kChunk = 1 << 18;
  at::Tensor total = at::zeros({}, flat.options().dtype(at::kDouble));
  for (std::int64_t begin = 0; begin < flat.numel(); begin += kChunk) {
    const at::Tensor chunk = flat.narrow(0, begin, std::min(kChunk, flat.numel() - begin));
    total.add_(at::dot(chunk, chunk));
  }
  return total.item<double>();
}

bool decays(const at::Tensor& parameter) { return parameter.dim() >= 2; }

/// Parameters with decay first, each group in the given order.
std::vector<at::Tensor*> by_decay(const std::vector<at::Tensor*>& parameters) {
  std::vector<at::Tensor*> ordered;
  for (bool decayed : {true, false}) {
    for (at::Tensor* parameter : parameters) {
      if (decays(*parameter) == decayed) ordered.push_back(parameter);
    }
  }
  return ordered;
}

}  // namespace

AdamW::AdamW(const std::vector<at::Tensor*>& parameters, AdamWOptions options) : options_(options) {
  if (parameters.empty()) throw Error(ExitCode::internal, "optimizer: no parameters to train");
  const at::NoGradGuard no_grad;
  std::int64_t total = 0;
  for (const at::Tensor* parameter : parameters) {
    total += padded(parameter->numel());
    if (decays(*parameter)) decayed_ += padded(parameter->numel());
  }
  values_ = at::zeros({total}, parameters.front()->options().dtype(at::kFloat).requires_grad(false));
  gradients_ = at::zeros_like(values_);
  std::int64_t offset = 0;
  for (at::Tensor* parameter : by_decay(parameters)) {
    const auto sizes = parameter->sizes().vec();
    const std::int64_t count = parameter->numel();
    at::Tensor view = values_.narrow(0, offset, count).view(sizes).detach();
    view.copy_(*parameter);
    view.set_requires_grad(true);
    view.mutable_grad() = gradients_.narrow(0, offset, count).view(sizes).detach();
    *parameter = view;
    offset += padded(count);
  }
}

void AdamW::zero_grad() { gradients_.zero_(); }

double AdamW::scale_and_clip(double scale, double max_norm) {
  const double norm = std::sqrt(squared_norm(gradients_)) * scale;
  // As torch.nn.utils.clip_grad_norm_: the 1e-6 keeps the quotient finite.
  const double clip = max_norm > 0 ? std::min(1.0, max_norm / (norm + 1e-6)) : 1.0;
  if (scale * clip != 1.0) gradients_.mul_(scale * clip);
  return norm;
}

void AdamW::step(double learning_rate) {
  const at::NoGradGuard no_grad;
  if (steps_ == 0) {
    first_moment_ = at::zeros_like(values_);
    second_moment_ = at::zeros_like(values_);
  }
  ++steps_;
  const at::Tensor count = at::full({}, static_cast<double>(steps_), values_.options());
  const auto update = [&](std::int64_t begin, std::int64_t length, double weight_decay) {
    if (length == 0) return;
    const auto part = [&](const at::Tensor& flat) { return flat.narrow(0, begin, length); };
    at::_fused_adamw_({part(values_)}, {part(gradients_)}, {part(first_moment_)}, {part(second_moment_)}, {},
                      {count}, learning_rate, options_.beta1, options_.beta2, weight_decay, options_.epsilon,
                      /*amsgrad=*/false, /*maximize=*/false);
  };
  update(0, decayed_, options_.weight_decay);
  update(decayed_, values_.numel() - decayed_, 0);
}

}  // namespace lora
