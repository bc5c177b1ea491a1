#pragma once

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>

#include <cstdint>

namespace lora {

/// M = U diag(S) V^T with k singular values in falling order: U [m, k], S [k], V [n, k].
struct Svd {
  at::Tensor U, S, V;
  at::Tensor product() const;
  /// The `rank` largest, or all if there are fewer.
  Svd first(std::int64_t rank) const;
};

/// SVD of a matrix given as a product, without forming it: QR of both factors and an SVD of the r x r core,
/// O((m + n) r^2). B [m, r], A [r, n]; in the factors' dtype. k = min(m, n, r).
Svd svd_of_product(const at::Tensor& B, const at::Tensor& A);

/// The plain SVD (LAPACK), O(m n min(m, n)).
Svd full_svd(const at::Tensor& matrix);

struct RandomisedSvdOptions {
  std::int64_t oversampling = 10;  ///< columns drawn beyond the rank
  int power_iterations = 2;        ///< each multiplies by M M^T: sharpens a slowly falling spectrum
};

/// The `rank` leading singular triples by random projection (Halko, Martinsson & Tropp 2011, arXiv:0909.4061,
/// algorithm 4.4 with 5.1), O(m n (rank + oversampling)). The same generator state gives the same result.
Svd randomised_svd(const at::Tensor& matrix, std::int64_t rank, at::Generator& generator,
                   RandomisedSvdOptions options = {});

}  // namespace lora
