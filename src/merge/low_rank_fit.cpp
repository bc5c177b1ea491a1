#include "merge/low_rank_fit.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>

#include "lora/base/error.h"

namespace lora {
namespace {

constexpr std::int64_t kFirstSketch = 16;
constexpr double kFloatError = 1e-2;  ///< smaller errors are chosen in float64
constexpr std::int64_t kBlockElements = 1 << 17;

double square_sum(const at::Tensor& tensor) {
  const double norm = at::linalg_vector_norm(tensor, 2, std::nullopt, false, at::kDouble).item<double>();
  return norm * norm;
}

/// |M - B A| in M's type, a block of rows at a time that stays in the cache; squares are summed in float64.
double distance(const at::Tensor& matrix, const at::Tensor& B, const at::Tensor& A) {
  const at::Tensor left = B.to(matrix.scalar_type()), right = A.to(matrix.scalar_type());
  const std::int64_t step =
      std::max<std::int64_t>(1, kBlockElements / std::max<std::int64_t>(1, matrix.size(1)));
  double square = 0;
  for (std::int64_t row = 0; row < matrix.size(0); row += step) {
    const std::int64_t rows = std::min(step, matrix.size(0) - row);
    square += square_sum(at::addmm(matrix.narrow(0, row, rows), left.narrow(0, row, rows), right, 1, -1));
  }
  return std::sqrt(square);
}

/// The factors of the `rank` leading triples; triples that are not there are zero.
LowRankFit balanced(const Svd& svd, std::int64_t rank) {
  const Svd kept = svd.first(rank);
  const at::Tensor root = kept.S.sqrt();
  const std::int64_t missing = rank - kept.S.size(0);
  LowRankFit fit;
  fit.B = at::constant_pad_nd((kept.U * root).to(at::kFloat), {0, missing}).contiguous();
  fit.A = at::constant_pad_nd((kept.V * root).t().to(at::kFloat), {0, 0, 0, missing}).contiguous();
  return fit;
}

}  // namespace

bool RankChoice::is_met_by(const at::Tensor& S, double square) const {
  return square - square_sum(S) <= error * error * square;
}

std::int64_t RankChoice::of(const at::Tensor& S, double square) const {
  if (is_fixed()) return rank;
  const at::Tensor values = S.to(at::kDouble).contiguous();
  const std::int64_t all = values.size(0);
  double rest = square;
  std::int64_t count = 0;
  while (count < all && rest > error * error * square) {
    const double value = values.data_ptr<double>()[count++];
    rest -= value * value;
  }
  return std::max<std::int64_t>(1, count);
}

RankChoice rank_choice(std::optional<std::int64_t> rank, std::optional<double> error,
                       std::optional<double> energy) {
  if (rank.has_value() + error.has_value() + energy.has_value() != 1) {
    throw Error(ExitCode::usage, "give exactly one of --rank, --error and --energy",
                "--rank 16 keeps 16 singular values; --error 0.1 as many as leave a relative error of 0.1; "
                "--energy 0.99 as many as hold 99 % of the squared norm");
  }
  if (rank) return {*rank, 0};
  return {0, error ? *error : std::sqrt(1 - *energy)};
}

LowRankFit fit_product(const at::Tensor& B, const at::Tensor& A, const RankChoice& choice) {
  const at::NoGradGuard no_grad;
  const at::Tensor rows = B.ne(0).any(1).nonzero().flatten();
  Svd svd{at::zeros({B.size(0), 0}, at::kDouble), at::zeros({0}, at::kDouble),
          at::zeros({A.size(1), 0}, at::kDouble)};
  if (rows.size(0) > 0) {
    svd = svd_of_product(B.index_select(0, rows).to(at::kDouble), A.to(at::kDouble));
    svd.U = at::zeros({B.size(0), svd.U.size(1)}, at::kDouble).index_copy_(0, rows, svd.U);
  }
  const double square = square_sum(svd.S);
  const std::int64_t rank = choice.of(svd.S, square);
  LowRankFit fit = balanced(svd, rank);
  fit.norm = std::sqrt(square);
  const std::int64_t kept = std::min(rank, svd.S.size(0));
  fit.lost = std::sqrt(square_sum(svd.S.narrow(0, kept, svd.S.size(0) - kept)));
  return fit;
}

MatrixFitter::MatrixFitter(const RankChoice& choice, bool exact, std::uint64_t seed)
    : choice_(choice), exact_(exact), generator_(at::detail::createCPUGenerator(seed)) {}

LowRankFit MatrixFitter::fit(const at::Tensor& matrix) {
  const at::NoGradGuard no_grad;
  const bool in_double = !choice_.is_fixed() && choice_.error < kFloatError;
  const at::Tensor working = matrix.to(in_double ? at::kDouble : at::kFloat);
  const double square = square_sum(working);
  if (square == 0) return {at::zeros({1, matrix.size(1)}), at::zeros({matrix.size(0), 1}), 0, 0};
  const Svd svd = leading(working, square);
  const std::int64_t most = std::min(matrix.size(0), matrix.size(1));
  LowRankFit fit = balanced(svd, std::min(choice_.of(svd.S, square), most));
  fit.norm = std::sqrt(square);
  fit.lost = distance(working, fit.B, fit.A);
  return fit;
}

Svd MatrixFitter::leading(const at::Tensor& matrix, double square) {
  const std::int64_t most = std::min(matrix.size(0), matrix.size(1));
  std::int64_t sketch = choice_.is_fixed() ? choice_.rank : kFirstSketch;
  for (; !exact_ && 2 * sketch < most; sketch *= 2) {
    Svd svd = randomised_svd(matrix, sketch, generator_);
    if (choice_.is_fixed() || choice_.is_met_by(svd.S, square)) return svd;
  }
  return full_svd(matrix);
}

}  // namespace lora
