#pragma once

#include <ATen/core/Tensor.h>

namespace lora {

/// Rotary position embedding in halves (Su et al. 2021, arXiv:2104.09864, in the order of Llama):
/// y = x cos + rotate(x) sin with rotate(x) = [-x2, x1] for x = [x1, x2].
/// x [batch, heads, time, d], cos and sin [batch or 1, 1, time, d]. Keeps cos and sin for the backward pass.
/// Float32 on the CPU; anything else goes the reference's way.
at::Tensor rotary(const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin);

/// The same by single ATen operations: the oracle.
at::Tensor rotary_reference(const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin);

}  // namespace lora
