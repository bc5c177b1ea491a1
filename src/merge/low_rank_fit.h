#pragma once

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>

#include "lora/kernels/low_rank.h"

namespace lora {

/// How many singular values an approximation M_k of M keeps: a number of them, or as many as its error needs.
struct RankChoice {
  std::int64_t rank = 0;  ///< 0: by error
  double error = 0;       ///< most |M - M_k| / |M|, Frobenius

  bool is_fixed() const { return rank > 0; }
  /// True if all of these falling singular values keep the error, with square = |M|^2.
  bool is_met_by(const at::Tensor& S, double square) const;
  /// The number to keep, at least 1; all of them if they do not suffice.
  std::int64_t of(const at::Tensor& S, double square) const;
};

/// usage error unless exactly one is given. `energy` is the share of |M|^2 that is kept: 1 - error^2.
RankChoice rank_choice(std::optional<std::int64_t> rank, std::optional<double> error,
                       std::optional<double> energy);

/// B A of a truncated SVD U S V^T, balanced: B = U sqrt(S) [m, k], A = sqrt(S) V^T [k, n], in float32.
struct LowRankFit {
  at::Tensor A, B;
  double norm = 0;  ///< |M|, Frobenius
  double lost = 0;  ///< |M - B A|
};

/// The best approximation of a product B A, in float64 and without forming it. Rows of B that are zero stay
/// exactly zero. A fixed rank above that of the factors pads with zeros.
LowRankFit fit_product(const at::Tensor& B, const at::Tensor& A, const RankChoice& choice);

/// Approximates dense matrices by a randomised SVD, or by the full one if `exact` or if nearly all is kept.
///
/// Works in float32: rounding changes `lost`, which is measured on the returned factors, by about 1e-7 of
/// |M|. An error below 1 % is chosen and measured in float64, because float32 singular values know the rest
/// |M|^2 - S_1^2 - ... - S_k^2 to about 1e-6 of |M|^2 only. A zero matrix has a fit of rank 1.
class MatrixFitter {
 public:
  MatrixFitter(const RankChoice& choice, bool exact, std::uint64_t seed);
  LowRankFit fit(const at::Tensor& matrix);

 private:
  Svd leading(const at::Tensor& matrix, double square);

  RankChoice choice_;
  bool exact_;
  at::Generator generator_;
};

}  // namespace lora
