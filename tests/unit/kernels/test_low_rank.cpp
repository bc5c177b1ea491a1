#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>

#include "lora/kernels/low_rank.h"
#include "support/catch.h"

using namespace lora;

namespace {

at::Generator generator() { return at::detail::createCPUGenerator(3); }

double difference(const at::Tensor& a, const at::Tensor& b) { return (a - b).abs().max().item<double>(); }

double orthonormality_error(const at::Tensor& columns) {
  return difference(at::mm(columns.t(), columns), at::eye(columns.size(1), columns.options()));
}

/// Singular values 1, 1/2, 1/3, ...
at::Tensor slowly_falling(std::int64_t m, std::int64_t n) {
  at::manual_seed(1);
  const auto left = std::get<0>(at::linalg_qr(at::randn({m, n}, at::kDouble)));
  const auto right = std::get<0>(at::linalg_qr(at::randn({n, n}, at::kDouble)));
  return at::mm(left * (1 / at::arange(1, n + 1, at::kDouble)), right.t());
}

}  // namespace

TEST_CASE("low rank: the SVD of a product is the product's SVD") {
  at::manual_seed(2);
  for (const std::int64_t r : {1, 5, 12}) {  // 12: wider than the matrix
    const at::Tensor B = at::randn({9, r}, at::kDouble), A = at::randn({r, 7}, at::kDouble);
    const Svd svd = svd_of_product(B, A);
    CHECK(svd.S.size(0) == std::min<std::int64_t>(r, 7));
    CHECK(difference(svd.product(), at::mm(B, A)) < 1e-12);
    CHECK(difference(svd.S, full_svd(at::mm(B, A)).S.narrow(0, 0, svd.S.size(0))) < 1e-12);
    CHECK(orthonormality_error(svd.U) < 1e-12);
    CHECK(orthonormality_error(svd.V) < 1e-12);
  }
}

TEST_CASE("low rank: a factor of zeros gives singular values of zero") {
  const Svd svd = svd_of_product(at::zeros({6, 2}, at::kDouble), at::ones({2, 4}, at::kDouble));
  CHECK(svd.S.abs().max().item<double>() == 0);
  CHECK(svd.product().abs().max().item<double>() == 0);
}

TEST_CASE("low rank: randomised SVD is within one percent of the best error on a slow spectrum") {
  at::Tensor matrix = slowly_falling(300, 200);
  auto random = generator();
  const double best = (matrix - full_svd(matrix).first(16).product()).norm().item<double>();
  const double ours = (matrix - randomised_svd(matrix, 16, random).product()).norm().item<double>();
  CHECK(ours >= best * (1 - 1e-12));
  CHECK(ours <= best * 1.01);
}

TEST_CASE("low rank: randomised SVD is reproducible and exact for a matrix of that rank") {
  at::manual_seed(4);
  const at::Tensor matrix = at::mm(at::randn({20, 3}, at::kDouble), at::randn({3, 30}, at::kDouble));
  auto first = generator(), second = generator();
  const Svd svd = randomised_svd(matrix, 3, first);
  CHECK(difference(svd.product(), matrix) < 1e-12);
  CHECK(at::equal(svd.U, randomised_svd(matrix, 3, second).U));
}
