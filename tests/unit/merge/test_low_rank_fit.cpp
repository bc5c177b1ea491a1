#include <ATen/ATen.h>

#include "merge/low_rank_fit.h"
#include "support/catch.h"
#include "support/errors.h"

using namespace lora;
using namespace lora::test;

namespace {

/// Singular values i^-power: what differences of fine-tuned models look like, for power about 1.
at::Tensor falling(std::int64_t m, std::int64_t n, double power) {
  at::manual_seed(1);
  const auto left = std::get<0>(at::linalg_qr(at::randn({m, n}, at::kDouble)));
  const auto right = std::get<0>(at::linalg_qr(at::randn({n, n}, at::kDouble)));
  return at::mm(left * at::arange(1, n + 1, at::kDouble).pow(-power), right.t());
}

double best_error(const at::Tensor& matrix, std::int64_t rank) {
  return (matrix - full_svd(matrix).first(rank).product()).norm().item<double>();
}

double distance(const at::Tensor& matrix, const LowRankFit& fit) {
  return (matrix - at::mm(fit.B.to(at::kDouble), fit.A.to(at::kDouble))).norm().item<double>();
}

}  // namespace

TEST_CASE("low-rank fit: the randomised fit is within one percent of the best error, and measures its own") {
  for (const double power : {0.3, 1.0, 2.0}) {
    const at::Tensor matrix = falling(220, 160, power);
    MatrixFitter fitter({16, 0}, false, 1);
    const LowRankFit fit = fitter.fit(matrix);
    CHECK(fit.A.size(0) == 16);
    CHECK(distance(matrix, fit) <= 1.01 * best_error(matrix, 16));
    CHECK(fit.lost == Catch::Detail::Approx(distance(matrix, fit)).epsilon(1e-6));
    CHECK(fit.norm == Catch::Detail::Approx(matrix.norm().item<double>()).epsilon(1e-6));
  }
}

TEST_CASE("low-rank fit: a rank by error keeps it, and is at most one above the smallest") {
  const at::Tensor matrix = falling(220, 160, 1);
  const double norm = matrix.norm().item<double>();
  for (const double error : {0.5, 0.1, 5e-3}) {
    for (const bool exact : {false, true}) {
      MatrixFitter fitter({0, error}, exact, 1);
      const LowRankFit fit = fitter.fit(matrix);
      INFO(error << " " << exact);
      CHECK(distance(matrix, fit) <= error * norm * (1 + 1e-6));
      const std::int64_t rank = fit.A.size(0), spared = exact ? 1 : 2;
      if (rank > spared) CHECK(best_error(matrix, rank - spared) > error * norm);
    }
  }
}

TEST_CASE("low-rank fit: the full rank reproduces the matrix to float32's resolution") {
  const at::Tensor matrix = falling(30, 20, 1);
  MatrixFitter fitter({500, 0}, false, 1);
  const LowRankFit fit = fitter.fit(matrix);
  CHECK(fit.A.size(0) == 20);
  CHECK(fit.lost < 1e-6 * fit.norm);
}

TEST_CASE("low-rank fit: zero rows of a product's B stay exactly zero, a zero product has rank 1") {
  at::manual_seed(2);
  at::Tensor B = at::randn({8, 3});
  B.narrow(0, 0, 4).zero_();
  const at::Tensor A = at::randn({3, 6});
  const LowRankFit fit = fit_product(B, A, {2, 0});
  CHECK(fit.B.narrow(0, 0, 4).count_nonzero().item<int>() == 0);
  CHECK(fit.B.narrow(0, 4, 4).count_nonzero().item<int>() == 8);
  const LowRankFit zero = fit_product(at::zeros({8, 3}), A, {0, 0.1});
  CHECK(zero.A.size(0) == 1);
  CHECK(zero.B.abs().max().item<double>() == 0);
  CHECK(zero.lost == 0);
}

TEST_CASE("low-rank fit: energy is the complement of the squared error, and one measure must be given") {
  CHECK(rank_choice(std::nullopt, std::nullopt, 0.99).error == Catch::Detail::Approx(0.1));
  CHECK(rank_choice(4, std::nullopt, std::nullopt).rank == 4);
  require_error([] { rank_choice(std::nullopt, std::nullopt, std::nullopt); }, ExitCode::usage,
                {"exactly one"});
  require_error([] { rank_choice(4, 0.1, std::nullopt); }, ExitCode::usage, {"exactly one"});
}
