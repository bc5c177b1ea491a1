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

double difference(const at::Tensor& a, const at::Tensor& b) {
  return ((a - b).abs().max() / b.abs().max()).item<double>();
}

}  // namespace

TEST_CASE("low-rank linear: value and all gradients equal the reference") {
  for (const bool trains_a : {true, false}) {
    const Leaves ours = leaves(trains_a), theirs = leaves(trains_a);
    const at::Tensor y = lora::low_rank_linear(ours.x, ours.W, ours.b, ours.A, ours.B, 0.7);
    const at::Tensor expected =
        lora::low_rank_linear_reference(theirs.x, theirs.W, theirs.b, theirs.A, theirs.B, 0.7);
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
  const at::Tensor y = lora::low_rank_linear(x, all.W, {}, all.A, all.B, 2);
  CHECK(difference(y, lora::low_rank_linear_reference(x, all.W, {}, all.A, all.B, 2)) < 5e-6);
  y.sum().backward();
  CHECK(all.A.grad().defined());
  CHECK_FALSE(all.x.grad().defined());
}

TEST_CASE("low-rank linear: a bfloat16 weight multiplies in its type, and only the products are rounded") {
  const Leaves all = leaves(true);
  const at::Tensor W = all.W.to(at::kBFloat16);
  const at::Tensor y = lora::low_rank_linear(all.x, W, all.b, all.A, all.B, 0.7);
  CHECK(y.scalar_type() == at::kFloat);
  CHECK(difference(y, lora::low_rank_linear_reference(all.x, all.W, all.b, all.A, all.B, 0.7)) < 0.01);
  y.sum().backward();
  CHECK(all.x.grad().scalar_type() == at::kFloat);
  // Rows of ones times W, where ones and products are exact in bfloat16 but for the last rounding.
  const at::Tensor update = at::mm(all.B.detach().sum(0, true), all.A.detach()) * 0.7;
  const at::Tensor expected = (all.W.sum(0, true) + update).expand({2, 7, 24});
  CHECK(difference(all.x.grad(), expected) < 0.02);
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
