#include "train/gradient_check.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "lora/base/error.h"
#include "lora/base/text.h"

namespace lora {
namespace {

bool is_zero(const at::Tensor& tensor) { return !tensor.detach().any().item<bool>(); }

bool has_gradient(const at::Tensor& tensor) { return tensor.grad().defined() && !is_zero(tensor.grad()); }

}  // namespace

GradientCheck::GradientCheck(const Adapter& adapter) {
  std::size_t group = 0;
  for (const AdaptedTarget& adapted : adapter.targets) {
    for (const auto& [leaf, tensor] : adapted.tensors) {
      if (tensor.requires_grad()) all_.push_back({cat(adapted.target.name(), ".", leaf), &tensor, group});
    }
    ++group;
  }
  for (const auto& [path, tensor] : adapter.saved_weights) all_.push_back({path, &tensor, group++});
  for (std::size_t i = 0; i < all_.size(); ++i) pending_.push_back(i);
  remember_zeros();
}

/// True if the tensor can have no gradient because another one of its target was zero, and that one has one.
bool GradientCheck::is_excused(const Watched& watched) const {
  return std::any_of(all_.begin(), all_.end(), [&](const Watched& other) {
    return other.group == watched.group && other.tensor != watched.tensor && other.was_zero &&
           has_gradient(*other.tensor);
  });
}

void GradientCheck::look(std::int64_t number) {
  std::vector<std::string> without;
  std::erase_if(pending_, [&](std::size_t i) {
    if (has_gradient(*all_[i].tensor)) return true;
    if (!is_excused(all_[i])) without.push_back(all_[i].name);
    return false;
  });
  if (!without.empty()) {
    throw Error(ExitCode::diverged,
                cat(without.size(), " trained tensors got no gradient in update ", number + 1, ": ",
                    join(without, ", ")),
                "the loss does not depend on them: leave their modules out with --exclude");
  }
  if (!is_done()) remember_zeros();
}

void GradientCheck::remember_zeros() {
  for (Watched& watched : all_) watched.was_zero = is_zero(*watched.tensor);
}

}  // namespace lora
