#include "lora/kernels/low_rank.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>

namespace lora {
namespace {

/// An orthonormal basis of the columns' span.
at::Tensor orthonormal(const at::Tensor& columns) { return std::get<0>(at::linalg_qr(columns)); }

}  // namespace

at::Tensor Svd::product() const { return at::mm(U * S, V.t()); }

Svd Svd::first(std::int64_t rank) const {
  const std::int64_t k = std::min(rank, S.size(0));
  return {U.narrow(1, 0, k), S.narrow(0, 0, k), V.narrow(1, 0, k)};
}

Svd full_svd(const at::Tensor& matrix) {
  const at::NoGradGuard no_grad;
  const auto [U, S, Vh] = at::linalg_svd(matrix, /*full_matrices=*/false);
  return {U, S, Vh.t()};
}

Svd svd_of_product(const at::Tensor& B, const at::Tensor& A) {
  const at::NoGradGuard no_grad;
  const auto [left, left_core] = at::linalg_qr(B);
  const auto [right, right_core] = at::linalg_qr(A.t());
  const Svd core = full_svd(at::mm(left_core, right_core.t()));
  return {at::mm(left, core.U), core.S, at::mm(right, core.V)};
}

Svd randomised_svd(const at::Tensor& matrix, std::int64_t rank, at::Generator& generator,
                   RandomisedSvdOptions options) {
  const at::NoGradGuard no_grad;
  const std::int64_t most = std::min(matrix.size(0), matrix.size(1));
  const std::int64_t columns = std::min(rank + options.oversampling, most);
  const at::Tensor start =
      at::empty({matrix.size(1), columns}, matrix.options().device(at::kCPU)).normal_(0, 1, generator);
  at::Tensor basis = orthonormal(at::mm(matrix, start.to(matrix.device())));
  for (int i = 0; i < options.power_iterations; ++i) {
    basis = orthonormal(at::mm(matrix, orthonormal(at::mm(matrix.t(), basis))));
  }
  // Q^T M = core^T right^T: the SVD is one of a small square.
  const auto [right, core] = at::linalg_qr(at::mm(matrix.t(), basis));
  const Svd inner = full_svd(core.t());
  return Svd{at::mm(basis, inner.U), inner.S, at::mm(right, inner.V)}.first(rank);
}

}  // namespace lora
