#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace lora {

/// x with each element zero with probability p and the others divided by 1 - p, in training; x otherwise.
/// Masks come from LibTorch's generator of the device, or from this thread's own (OwnDropout).
at::Tensor with_dropout(const at::Tensor& x, double p, bool training);

/// While it lives, masks of this thread are drawn by a generator of its own, on the CPU: what other threads
/// draw does not matter.
class OwnDropout {
 public:
  explicit OwnDropout(std::uint64_t seed);
  ~OwnDropout();
  OwnDropout(const OwnDropout&) = delete;
  OwnDropout& operator=(const OwnDropout&) = delete;
};

}  // namespace lora
