#include "lora/train/optimizer.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>

#include "lora/base/error.h"
#include "lora/base/text.h"

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

/// Parameters with decay first, then by rate; each group in the given order.
std::vector<TrainedTensor> by_group(std::vector<TrainedTensor> parameters) {
  std::stable_sort(parameters.begin(), parameters.end(), [](const TrainedTensor& a, const TrainedTensor& b) {
    return std::pair(!decays(*a.tensor), a.rate) < std::pair(!decays(*b.tensor), b.rate);
  });
  return parameters;
}

}  // namespace

AdamW::AdamW(const std::vector<TrainedTensor>& parameters, AdamWOptions options) : options_(options) {
  if (parameters.empty()) throw Error(ExitCode::internal, "optimizer: no parameters to train");
  const at::NoGradGuard no_grad;
  std::int64_t total = 0;
  for (const TrainedTensor& each : parameters) total += padded(each.tensor->numel());
  values_ = at::zeros({total}, parameters.front().tensor->options().dtype(at::kFloat).requires_grad(false));
  gradients_ = at::zeros_like(values_);
  std::int64_t offset = 0;
  for (const auto& [parameter, rate] : by_group(parameters)) {
    const auto sizes = parameter->sizes().vec();
    const std::int64_t count = parameter->numel();
    const double weight_decay = decays(*parameter) ? options_.weight_decay : 0;
    at::Tensor view = values_.narrow(0, offset, count).view(sizes).detach();
    view.copy_(*parameter);
    view.set_requires_grad(true);
    view.mutable_grad() = gradients_.narrow(0, offset, count).view(sizes).detach();
    *parameter = view;
    trained_.push_back(view);
    const bool joins =
        !groups_.empty() && groups_.back().rate == rate && groups_.back().weight_decay == weight_decay;
    if (!joins) groups_.push_back({offset, 0, rate, weight_decay});
    groups_.back().length += padded(count);
    offset += padded(count);
  }
}

at::Tensor AdamW::part(const at::Tensor& flat, const at::Tensor& trained) {
  return flat.narrow(0, trained.storage_offset(), trained.numel()).view(trained.sizes());
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
  for (const Group& group : groups_) {
    const auto part = [&](const at::Tensor& flat) { return flat.narrow(0, group.begin, group.length); };
    at::_fused_adamw_({part(values_)}, {part(gradients_)}, {part(first_moment_)}, {part(second_moment_)}, {},
                      {count}, learning_rate * group.rate, options_.beta1, options_.beta2, group.weight_decay,
                      options_.epsilon, /*amsgrad=*/false, /*maximize=*/false);
  }
}

std::map<std::string, at::Tensor> AdamW::state() const {
  std::map<std::string, at::Tensor> state = {{"values", values_.detach().cpu()},
                                             {"steps", at::full({1}, steps_, at::kLong)}};
  if (steps_ == 0) return state;
  state["first_moment"] = first_moment_.cpu();
  state["second_moment"] = second_moment_.cpu();
  return state;
}

void AdamW::restore(const std::map<std::string, at::Tensor>& state) {
  const at::NoGradGuard no_grad;
  const auto take = [&](const std::string& name, at::Tensor& into) {
    const auto found = state.find(name);
    if (found == state.end() || found->second.sizes() != values_.sizes())
      throw Error(ExitCode::mismatch, cat("the checkpoint's optimizer has no \"", name, "\" of ",
                                          values_.numel(), " numbers: another set of tensors was trained"));
    into.copy_(found->second);
  };
  take("values", values_);
  steps_ = state.at("steps").item<std::int64_t>();
  if (steps_ == 0) return;
  first_moment_ = at::zeros_like(values_);
  second_moment_ = at::zeros_like(values_);
  take("first_moment", first_moment_);
  take("second_moment", second_moment_);
}

}  // namespace lora
