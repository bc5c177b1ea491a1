#include "train/loss_scale.h"

#include <ATen/ATen.h>

#include <algorithm>

namespace lora {

bool LossScale::adapt(bool finite) {
  if (!on_) return false;
  if (!finite) {
    const bool lowered = value_ > 1;
    value_ = std::max(1.0, value_ / 2);
    good_updates_ = 0;
    return lowered;
  }
  if (++good_updates_ < kGrowthUpdates) return false;
  value_ = std::min(kLargest, value_ * 2);
  good_updates_ = 0;
  return false;
}

at::Tensor LossScale::state() const {
  return at::tensor({value_, static_cast<double>(good_updates_)}, at::kDouble);
}

void LossScale::restore(const at::Tensor& state) {
  value_ = state[0].item<double>();
  good_updates_ = state[1].item<std::int64_t>();
}

}  // namespace lora
