#pragma once

#include <ATen/core/Tensor.h>

namespace lora {

/// W x in W's type: x [..., in] is cast to it, the product [..., out] back to x's. W [out, in].
at::Tensor product_in_type_of(const at::Tensor& x, const at::Tensor& W);

/// y = W x + b + s B A x, the adapted projection of Hu et al. 2021 (arXiv:2106.09685), eq. 3, as one
/// operation. x [..., in], W [out, in] frozen, b [out] or undefined, A [r, in], B [out, r] -> y [..., out].
/// All of one dtype, but W may have a narrower one, in which W x and its gradient are then computed. Keeps x,
/// unless A is frozen, and A x: nothing of [.., out]. The backward pass adds both ways to dx in one product
/// and forms dB as (h^T dy)^T.
at::Tensor low_rank_linear(const at::Tensor& x, const at::Tensor& W, const at::Tensor& b, const at::Tensor& A,
                           const at::Tensor& B, double s);

/// The same by single ATen operations: the oracle.
at::Tensor low_rank_linear_reference(const at::Tensor& x, const at::Tensor& W, const at::Tensor& b,
                                     const at::Tensor& A, const at::Tensor& B, double s);

}  // namespace lora
