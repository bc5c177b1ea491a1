#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

namespace lora {

/// W x in W's type: x [..., in] is cast to it, the product [..., out] back to x's. W [out, in].
at::Tensor product_in_type_of(const at::Tensor& x, const at::Tensor& W);

/// y = W x + b + s B A x, the adapted projection of Hu et al. 2021 (arXiv:2106.09685), eq. 3. W [out, in]
/// frozen, b [out] or undefined, A [r, in], B [out, r]; without A and B the projection alone. All of one
/// dtype, but W may have a narrower one, in which W x and its gradient are then computed.
struct Projection {
  at::Tensor W, b, A, B;
  double s = 1;
  bool is_adapted() const { return A.defined(); }
};

/// All y [..., out] of one x [..., in] as one operation. The A's are one matrix: A x and its gradients are
/// one product each, and x is cast to a narrower type once. Keeps x, unless every A is frozen, and A x:
/// nothing of [..., out]. The backward pass adds all ways to dx where the first product puts it, and forms dB
/// as (h^T dy)^T.
std::vector<at::Tensor> low_rank_linears(const at::Tensor& x, const std::vector<Projection>& projections);

/// One of them by single ATen operations: the oracle.
at::Tensor low_rank_linear_reference(const at::Tensor& x, const Projection& projection);

}  // namespace lora
