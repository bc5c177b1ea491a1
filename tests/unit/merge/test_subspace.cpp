#include <ATen/ATen.h>

#include <cmath>

#include "merge/subspace.h"
#include "support/catch.h"

using namespace lora;

namespace {

at::Tensor columns(std::initializer_list<std::int64_t> axes) {
  return at::eye(6, at::kDouble).index_select(1, at::tensor(std::vector<std::int64_t>(axes), at::kLong));
}

at::Tensor random_basis(std::int64_t n, std::int64_t k) {
  return std::get<0>(at::linalg_qr(at::randn({n, k}, at::kDouble)));
}

constexpr double kRounding = 1e-12;

}  // namespace

TEST_CASE("subspace similarity: nested spans have 1, orthogonal ones 0, half-shared ones one half") {
  CHECK(std::abs(subspace_similarity(columns({0, 1}), columns({1, 0, 2}), 2, 3) - 1) < kRounding);
  CHECK(subspace_similarity(columns({0, 1}), columns({2, 3}), 2, 2) == 0);
  CHECK(std::abs(subspace_similarity(columns({0, 1}), columns({1, 4}), 2, 2) - 0.5) < kRounding);
}

TEST_CASE("subspace similarity: the grid holds the similarity of every pair of ranks") {
  at::manual_seed(1);
  const at::Tensor U = random_basis(9, 4), V = random_basis(9, 6);
  const at::Tensor grid = similarity_grid(U, V);
  REQUIRE(grid.sizes() == at::IntArrayRef({4, 6}));
  for (std::int64_t i = 1; i <= 4; ++i) {
    for (std::int64_t j = 1; j <= 6; ++j)
      CHECK(std::abs(grid[i - 1][j - 1].item<double>() - subspace_similarity(U, V, i, j)) < kRounding);
  }
}

TEST_CASE("subspace similarity: random spans have the stated mean") {
  at::manual_seed(2);
  double sum = 0;
  for (int draw = 0; draw < 200; ++draw)
    sum += subspace_similarity(random_basis(40, 4), random_basis(40, 8), 4, 8);
  CHECK(std::abs(sum / 200 - random_similarity(4, 8, 40)) < 0.01);
}

TEST_CASE("effective rank: equal values count fully, vanishing ones not at all") {
  CHECK(std::abs(effective_rank(at::ones({5})) - 5) < 1e-6);
  CHECK(std::abs(effective_rank(at::tensor({3.0, 0.0, 0.0})) - 1) < 1e-6);
  CHECK(effective_rank(at::zeros({4})) == 0);
  const double two = effective_rank(at::tensor({1.0, 0.1}));
  CHECK((two > 1 && two < 2));
}
