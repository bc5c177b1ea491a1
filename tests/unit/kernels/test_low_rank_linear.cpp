#include <ATen/ATen.h>

#include "lora/kernels/low_rank_linear.h"
#include "support/catch.h"

namespace {

struct Leaves {
  at::Tensor x, W, b, A, B;
};

at::Tensor leaf(const at::Tensor& value, bool trained = true) {
  return value.clone().set_requires_grad(trained);
}

Leaves leaves(bool trains_a) {
  at::manual_seed(5);
  return {leaf(at::randn({2, 7, 24})), at::randn({32, 24}), leaf(at::randn({32})),
          leaf(at::randn({4, 24}), trains_a), leaf(at::randn({32, 4}))};
}

at::Tensor low_rank_linear(const at::Tensor& x, const lora::Projection& projection) {
  return lora::low_rank_linears(x, {projection})[0];
}

double difference(const at::Tensor& a, const at::Tensor& b) {
  return ((a - b).abs().max() / b.abs().max()).item<double>();
}

}  // namespace

TEST_CASE("low-rank linear: value and all gradients equal the reference") {
  for (const bool trains_a : {true, false}) {
    const Leaves ours = leaves(trains_a), theirs = leaves(trains_a);
    const at::Tensor y = low_rank_linear(ours.x, {ours.W, ours.b, ours.A, ours.B, 0.7});
    const at::Tensor expected =
        lora::low_rank_linear_reference(theirs.x, {theirs.W, theirs.b, theirs.A, theirs.B, 0.7});
    CHECK(difference(y, expected) < 5e-6);
    const at::Tensor upstream = at::randn_like(y);
    (y * upstream).sum().backward();
    (expected * upstream).sum().backward();
    CHECK(difference(ours.x.grad(), theirs.x.grad()) < 5e-6);
    CHECK(difference(ours.b.grad(), theirs.b.grad()) < 5e-6);
    CHECK(difference(ours.B.grad(), theirs.B.grad()) < 5e-6);
    CHECK(ours.A.grad().defined() == trains_a);
    if (trains_a) CHECK(difference(ours.A.grad(), theirs.A.grad()) < 5e-6);
  }
}

TEST_CASE("low-rank linear: a frozen input and no bias are fine") {
  const Leaves all = leaves(true);
  const at::Tensor x = all.x.detach();
  const at::Tensor y = low_rank_linear(x, {all.W, {}, all.A, all.B, 2});
  CHECK(difference(y, lora::low_rank_linear_reference(x, {all.W, {}, all.A, all.B, 2})) < 5e-6);
  y.sum().backward();
  CHECK(all.A.grad().defined());
  CHECK_FALSE(all.x.grad().defined());
}

TEST_CASE("low-rank linear: a bfloat16 weight multiplies in its type, and only the products are rounded") {
  const Leaves all = leaves(true);
  const at::Tensor W = all.W.to(at::kBFloat16);
  const at::Tensor y = low_rank_linear(all.x, {W, all.b, all.A, all.B, 0.7});
  CHECK(y.scalar_type() == at::kFloat);
  CHECK(difference(y, lora::low_rank_linear_reference(all.x, {all.W, all.b, all.A, all.B, 0.7})) < 0.01);
  y.sum().backward();
  CHECK(all.x.grad().scalar_type() == at::kFloat);
  // Rows of ones times W, where ones and products are exact in bfloat16 but for the last rounding.
  const at::Tensor update = at::mm(all.B.detach().sum(0, true), all.A.detach()) * 0.7;
  const at::Tensor expected = (all.W.sum(0, true) + update).expand({2, 7, 24});
  CHECK(difference(all.x.grad(), expected) < 0.02);
}

TEST_CASE("low-rank linears: projections of one input have values and gradients of each alone") {
  const auto make = [](at::ScalarType type) {
    at::manual_seed(7);
    const auto factor = [](std::int64_t rows, std::int64_t columns) {
      return leaf(at::randn({rows, columns}));
    };
    const auto weight = [&](std::int64_t out) { return at::randn({out, 24}).to(type); };
    return std::vector<lora::Projection>{
        {weight(32), leaf(at::randn({32})), factor(4, 24), factor(32, 4), 0.7},
        {weight(16), {}, {}, {}},
        {weight(8), {}, leaf(at::randn({2, 24}), false), factor(8, 2), 2},
        {weight(40), at::randn({40}), factor(3, 24), factor(40, 3), 0.5},
        {weight(5), {}, factor(6, 24), factor(5, 6)}};
  };
  for (const auto type : {at::kFloat, at::kBFloat16}) {
    const double tolerance = type == at::kFloat ? 5e-6 : 0.02;
    const auto ours = make(type), theirs = make(type);
    const at::Tensor x = leaf(at::randn({2, 7, 24})), same = leaf(x.detach());
    const auto y = lora::low_rank_linears(x, ours);
    at::Tensor loss = at::zeros({}), expected_loss = at::zeros({});
    for (std::size_t i = 0; i + 1 < ours.size(); ++i) {  // the last has no upstream gradient
      const at::Tensor expected = lora::low_rank_linear_reference(same, theirs[i]),
                       upstream = at::randn_like(expected);
      CHECK(difference(y[i], expected) < tolerance);
      loss = loss + (y[i] * upstream).sum();
      expected_loss = expected_loss + (expected * upstream).sum();
    }
    loss.backward();
    expected_loss.backward();
    CHECK(difference(x.grad(), same.grad()) < tolerance);
    for (std::size_t i = 0; i + 1 < ours.size(); ++i) {
      const auto tensors = [](const lora::Projection& of) {
        return std::vector<at::Tensor>{of.b, of.A, of.B};
      };
      const auto found = tensors(ours[i]), expected = tensors(theirs[i]);
      for (std::size_t j = 0; j < found.size(); ++j) {
        if (!found[j].defined()) continue;
        CHECK(found[j].grad().defined() == expected[j].grad().defined());
        if (found[j].grad().defined()) CHECK(difference(found[j].grad(), expected[j].grad()) < tolerance);
      }
    }
    CHECK((!ours.back().A.grad().defined() || ours.back().A.grad().abs().max().item<double>() == 0));
    CHECK_FALSE(ours.back().B.grad().defined());
  }
}

TEST_CASE("low-rank linears: without gradients nothing is kept, and no projection is none") {
  const Leaves all = leaves(true);
  const auto y =
      lora::low_rank_linears(all.x.detach(), {{all.W, {}, {}, {}}, {all.W, all.b.detach(), {}, {}}});
  CHECK_FALSE(y[0].requires_grad());
  CHECK(difference(y[1] - y[0], all.b.detach().expand_as(y[0])) < 1e-5);
  CHECK(lora::low_rank_linears(all.x, {}).empty());
}

TEST_CASE("product in a weight's type: value and gradient equal the cast operations") {
  at::manual_seed(6);
  const at::Tensor W = at::randn({32, 24}).to(at::kBFloat16);
  const at::Tensor ours = leaf(at::randn({2, 7, 24})), theirs = leaf(ours.detach());
  const at::Tensor y = lora::product_in_type_of(ours, W);
  const at::Tensor expected = at::linear(theirs.to(at::kBFloat16), W).to(at::kFloat);
  CHECK(difference(y, expected) < 0.01);
  y.sum().backward();
  expected.sum().backward();
  CHECK(difference(ours.grad(), theirs.grad()) < 0.01);
}
