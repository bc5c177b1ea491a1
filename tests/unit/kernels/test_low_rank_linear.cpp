#include <ATen/ATen.h>

#include "lora/kernels/low_rank_linear.h"
#include "support/catch.h"

namespace {

struct Leaves {
  at::Tensor x, W, b, A, B;
};

at::Tensor leaf(const at::Tensor& value, bool trained = true) { return value.clone().set_requires_grad(trained); }

Leaves leaves(bool trains_a) {
  at::manual_seed(5);
  return {leaf(at::randn({2, 7, 24})), at::randn({32, 24}), leaf(at::randn({32})), leaf(at::randn({4, 24}), trains_a),
          leaf(at::randn({32, 4}))};
}

double difference(const at::Tensor& a, const at::Tensor& b) {
  return ((a - b).abs().max() / b.abs().max()).item<double>();
}

}  // namespace

TEST_CASE("low-rank linear: value and all gradients equal the reference") {
  for (const bool trains_a : {true, false}) {
    const Leaves ours = leaves(trains_a), theirs = leaves(trains_a);
    const at::Tensor y = lora::low_rank_linear(ours.x, ours.W, ours.b, ours.A, ours.B, 0.7);
    const at::Tensor expected = lora::low_rank_linear_reference(theirs.x, theirs.W, theirs.b, theirs.A, theirs.B, 0.7);
    CHECK(difference(y, expected) < 1e-6);
    const at::Tensor upstream = at::randn_like(y);
    (y * upstream).sum().backward();
    (expected * upstream).sum().backward();
    CHECK(difference(ours.x.grad(), theirs.x.grad()) < 1e-6);
    CHECK(difference(ours.b.grad(), theirs.b.grad()) < 1e-6);
    CHECK(difference(ours.B.grad(), theirs.B.grad()) < 1e-6);
    CHECK(ours.A.grad().defined() == trains_a);
    if (trains_a) CHECK(difference(ours.A.grad(), theirs.A.grad()) < 1e-6);
  }
}

TEST_CASE("low-rank linear: a frozen input and no bias are fine") {
  const Leaves all = leaves(true);
  const at::Tensor x = all.x.detach();
  const at::Tensor y = lora::low_rank_linear(x, all.W, {}, all.A, all.B, 2);
  CHECK(difference(y, lora::low_rank_linear_reference(x, all.W, {}, all.A, all.B, 2)) < 1e-6);
  y.sum().backward();
  CHECK(all.A.grad().defined());
  CHECK_FALSE(all.x.grad().defined());
}
