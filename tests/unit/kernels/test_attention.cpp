#include <ATen/ATen.h>

#include <limits>

#include "lora/kernels/attention.h"
#include "support/catch.h"

using lora::attention;
using lora::attention_reference;
using lora::AttentionBlock;
using lora::plan_attention;
using Kind = lora::AttentionBlock::Kind;
using Rows = std::vector<std::vector<AttentionBlock>>;

namespace {

struct Operands {
  at::Tensor q, k, v;
};

Operands random_operands(std::int64_t batch, std::int64_t heads, std::int64_t groups, std::int64_t queries,
                         std::int64_t keys, std::int64_t d = 16) {
  at::manual_seed(3);
  const auto tensor = [&](std::int64_t own_heads, std::int64_t time) {
    return at::randn({batch, time, own_heads, d}).transpose(1, 2).detach().set_requires_grad(true);
  };
  return {tensor(heads, queries), tensor(heads / groups, keys), tensor(heads / groups, keys)};
}

at::Tensor causal_mask(std::int64_t time) { return at::ones({time, time}, at::kBool).tril(); }

/// Documents of these lengths in one row, each causal.
at::Tensor packed_mask(const std::vector<std::int64_t>& lengths) {
  std::int64_t time = 0;
  for (const std::int64_t length : lengths) time += length;
  at::Tensor mask = at::zeros({time, time}, at::kBool);
  std::int64_t begin = 0;
  for (const std::int64_t length : lengths) {
    mask.narrow(0, begin, length).narrow(1, begin, length).copy_(causal_mask(length));
    begin += length;
  }
  return mask;
}

double largest_difference(const at::Tensor& a, const at::Tensor& b) {
  return (a - b).abs().max().item<double>();
}

/// Values and gradients of the planned attention against the whole mask.
void check_against_reference(const Operands& operands, const at::Tensor& mask) {
  const auto plan = plan_attention(mask);
  REQUIRE(plan);
  const auto gradients_of = [&](const at::Tensor& out, const at::Tensor& upstream) {
    (out * upstream).sum().backward();
    std::vector<at::Tensor> gradients;
    for (const at::Tensor& each : {operands.q, operands.k, operands.v}) {
      gradients.push_back(each.grad().clone());
      each.grad().zero_();
    }
    return gradients;
  };
  const at::Tensor ours = attention(operands.q, operands.k, operands.v, *plan, 0.3);
  const at::Tensor theirs = attention_reference(operands.q, operands.k, operands.v, mask, 0.3);
  CHECK(largest_difference(ours, theirs) < 2e-6);
  const at::Tensor upstream = at::randn_like(ours);
  const auto mine = gradients_of(ours, upstream), expected = gradients_of(theirs, upstream);
  for (std::size_t i = 0; i < mine.size(); ++i) CHECK(largest_difference(mine[i], expected[i]) < 2e-5);
}

}  // namespace

TEST_CASE("attention plan: a causal mask is one triangle for the whole batch") {
  const auto plan = plan_attention(causal_mask(7).expand({3, 1, 7, 7}));
  REQUIRE(plan);
  CHECK((plan->rows == Rows{{{0, 7, 0, 7, Kind::causal}}}));
  CHECK(plan->score_count() == 28);
}

TEST_CASE("attention plan: padding keys are left out, packed documents are triangles of their own") {
  const at::Tensor padding = at::tensor({1, 1, 1, 0, 0, 1, 1, 1, 1, 1}).to(at::kBool).reshape({2, 1, 1, 5});
  const auto padded = plan_attention(padding.expand({2, 1, 5, 5}));
  REQUIRE(padded);
  CHECK((padded->rows == Rows{{{0, 5, 0, 3, Kind::full}}, {{0, 5, 0, 5, Kind::full}}}));
  const auto packed = plan_attention(packed_mask({4, 1, 3}).reshape({1, 1, 8, 8}));
  REQUIRE(packed);
  CHECK((packed->rows ==
         Rows{{{0, 4, 0, 4, Kind::causal}, {4, 1, 4, 1, Kind::causal}, {5, 3, 5, 3, Kind::causal}}}));
}

TEST_CASE("attention plan: an additive mask says what a bool mask says") {
  const at::Tensor seen = packed_mask({3, 2}).reshape({1, 1, 5, 5});
  for (const double hidden : {-1e4, -3.4028234663852886e38, -std::numeric_limits<double>::infinity()}) {
    const auto plan = plan_attention(at::zeros({1, 1, 5, 5}).masked_fill(seen.logical_not(), hidden));
    REQUIRE(plan);
    CHECK((plan->rows == plan_attention(seen)->rows));
  }
}

TEST_CASE("attention plan: biases, masks by head, gaps and queries without keys are left to the reference") {
  CHECK_FALSE(plan_attention(at::randn({1, 1, 4, 4})));
  CHECK_FALSE(plan_attention(at::ones({1, 2, 4, 4}, at::kBool)));
  CHECK_FALSE(plan_attention(at::tensor({1, 0, 1, 1}).to(at::kBool).reshape({1, 1, 1, 4})));
  CHECK_FALSE(plan_attention(at::zeros({1, 1, 2, 2}, at::kBool)));
}

TEST_CASE("attention: values and gradients equal the reference for every kind of mask") {
  SECTION("causal, grouped heads") {
    check_against_reference(random_operands(2, 6, 3, 33, 33), causal_mask(33).expand({2, 1, 33, 33}));
  }
  SECTION("packed documents") {
    const at::Tensor mask = packed_mask({17, 1, 30, 2}).reshape({1, 1, 50, 50});
    check_against_reference(random_operands(1, 4, 2, 50, 50), mask);
  }
  SECTION("several tiles of queries and keys, widths that are no power of two") {
    const std::int64_t d = GENERATE(32, 80);
    check_against_reference(random_operands(2, 4, 2, 150, 150, d), causal_mask(150).expand({2, 1, 150, 150}));
  }
  SECTION("packed documents of several tiles") {
    const at::Tensor mask = packed_mask({70, 5, 131}).reshape({1, 1, 206, 206});
    check_against_reference(random_operands(1, 3, 1, 206, 206), mask);
  }
  SECTION("every query sees the same keys, several tiles of them") {
    const at::Tensor lengths = at::tensor({130, 97}).reshape({2, 1, 1, 1});
    const at::Tensor mask = (at::arange(130) < lengths).expand({2, 1, 130, 130});
    check_against_reference(random_operands(2, 2, 1, 130, 130), mask);
  }
  SECTION("a width that tiles do not have") {
    check_against_reference(random_operands(1, 2, 1, 60, 60, 12), causal_mask(60).expand({1, 1, 60, 60}));
  }
  SECTION("scores far apart") {
    Operands operands = random_operands(1, 2, 1, 140, 140);
    operands.q = (operands.q.detach() * 40).set_requires_grad(true);
    const auto plan = plan_attention(140, 140, true);
    const at::Tensor out = attention(operands.q, operands.k, operands.v, plan, std::nullopt);
    const at::Tensor mask = causal_mask(140).reshape({1, 1, 140, 140});
    CHECK(largest_difference(
              out, attention_reference(operands.q, operands.k, operands.v, mask, std::nullopt)) < 2e-5);
  }
  SECTION("right padding under a causal mask, a row of its own each") {
    const at::Tensor lengths = at::tensor({9, 4, 6}).reshape({3, 1, 1, 1});
    const at::Tensor mask = causal_mask(9).reshape({1, 1, 9, 9}).logical_and(at::arange(9) < lengths);
    check_against_reference(random_operands(3, 4, 1, 9, 9), mask);
  }
  SECTION("sliding window over packed documents") {
    const at::Tensor near = at::ones({40, 40}, at::kBool).triu(-5);
    const at::Tensor mask = packed_mask({28, 12}).logical_and(near).reshape({1, 1, 40, 40});
    check_against_reference(random_operands(1, 4, 2, 40, 40), mask);
  }
  SECTION("new tokens after cached, left-padded ones") {
    const at::Tensor start = at::tensor({0, 3}).reshape({2, 1, 1, 1});
    const at::Tensor columns = at::arange(12), queries = at::arange(10, 12).reshape({1, 1, 2, 1});
    check_against_reference(random_operands(2, 4, 2, 2, 12),
                            columns.ge(start).logical_and(columns.le(queries)));
  }
}
