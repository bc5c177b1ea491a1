#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "lora/base/error.h"
#include "lora/kernels/cross_entropy.h"
#include "support/catch.h"

using lora::cross_entropy_sum;
using lora::cross_entropy_sum_reference;

namespace {

at::Tensor random_logits(std::int64_t rows, std::int64_t vocabulary, at::ScalarType dtype = at::kFloat) {
  at::manual_seed(7);
  return (at::randn({rows, vocabulary}) * 4).to(dtype);
}

at::Tensor random_targets(std::int64_t rows, std::int64_t vocabulary) {
  return at::randint(vocabulary, {rows}, at::kLong);
}

at::Tensor leaf(const at::Tensor& value) { return value.clone().set_requires_grad(true); }

double largest(const at::Tensor& tensor) { return tensor.abs().max().item<double>(); }

}  // namespace

TEST_CASE("cross entropy: two equal logits cost log 2 per row") {
  const at::Tensor loss = cross_entropy_sum(at::zeros({3, 2}), at::tensor({0, 1, 1}, at::kLong));
  CHECK(std::abs(loss.item<double>() - 3 * std::log(2.0)) < 1e-6);
  CHECK(loss.scalar_type() == at::kFloat);
  CHECK(loss.dim() == 0);
}

TEST_CASE("cross entropy: value and gradient equal the reference over several chunks") {
  // 70 rows of 20,000 make three chunks. One float32 rounding of a sum of about 900 nats is 6e-5.
  const at::Tensor logits = random_logits(70, 20000), targets = random_targets(70, 20000);
  at::Tensor ours = leaf(logits), theirs = leaf(logits.to(at::kDouble));
  const at::Tensor loss = cross_entropy_sum(ours, targets);
  const at::Tensor expected = at::cross_entropy_loss(theirs, targets, {}, at::Reduction::Sum);
  const at::Tensor plain = cross_entropy_sum_reference(logits, targets);
  CHECK(std::abs(plain.item<double>() - expected.item<double>()) / expected.item<double>() < 1e-6);
  CHECK(std::abs(loss.item<double>() - expected.item<double>()) / expected.item<double>() < 1e-6);
  loss.backward();
  expected.backward();
  CHECK(largest(ours.grad() - theirs.grad()) < 1e-6);
}

TEST_CASE("cross entropy: label smoothing shares the target's probability, value and gradient") {
  const at::Tensor uniform = cross_entropy_sum(at::zeros({2, 4}), at::tensor({0, 1}, at::kLong), 0.3);
  CHECK(std::abs(uniform.item<double>() - 2 * std::log(4.0)) < 1e-6);  // whatever is shared
  const at::Tensor logits = random_logits(70, 500), targets = logits.argmax(1);
  at::Tensor ours = leaf(logits), theirs = leaf(logits.to(at::kDouble));
  const at::Tensor loss = cross_entropy_sum(ours, targets, 0.1);
  const at::Tensor expected = at::cross_entropy_loss(theirs, targets, {}, at::Reduction::Sum, -100, 0.1);
  CHECK(std::abs(loss.item<double>() - expected.item<double>()) / expected.item<double>() < 1e-6);
  CHECK(std::abs(cross_entropy_sum_reference(logits, targets, 0.1).item<double>() - expected.item<double>()) /
            expected.item<double>() <
        1e-6);
  loss.backward();
  expected.backward();
  CHECK(largest(ours.grad() - theirs.grad()) < 5e-6);
  CHECK(std::abs(loss.item<double>() - cross_entropy_sum(logits, targets).item<double>()) > 1);
}

TEST_CASE("cross entropy: an upstream factor scales the gradient") {
  const at::Tensor logits = random_logits(5, 11), targets = random_targets(5, 11);
  at::Tensor ours = leaf(logits), theirs = leaf(logits);
  (cross_entropy_sum(ours, targets) * 0.25).backward();
  (cross_entropy_sum_reference(theirs, targets) * 0.25).backward();
  CHECK(largest(ours.grad() - theirs.grad()) < 1e-7);
}

TEST_CASE("cross entropy: bfloat16 logits are summed in float32") {
  const at::Tensor logits = random_logits(9, 500, at::kBFloat16), targets = random_targets(9, 500);
  at::Tensor ours = leaf(logits), theirs = leaf(logits);
  const at::Tensor loss = cross_entropy_sum(ours, targets);
  const at::Tensor expected = cross_entropy_sum_reference(theirs, targets);
  CHECK(std::abs(loss.item<double>() - expected.item<double>()) < 1e-4);
  loss.backward();
  expected.backward();
  CHECK(ours.grad().scalar_type() == at::kBFloat16);
  // Both round the same float32 value once: at most one unit of bfloat16 (2^-8) at magnitude 1.
  CHECK(largest(ours.grad().to(at::kFloat) - theirs.grad().to(at::kFloat)) <= 1.0 / 256);
}

TEST_CASE("cross entropy: gradients reach a weight through the logits") {
  const at::Tensor hidden = at::randn({6, 8}), targets = random_targets(6, 30);
  at::Tensor ours = leaf(at::randn({30, 8})), theirs = leaf(ours.detach());
  cross_entropy_sum(at::linear(hidden, ours), targets).backward();
  cross_entropy_sum_reference(at::linear(hidden, theirs), targets).backward();
  CHECK(largest(ours.grad() - theirs.grad()) < 1e-6);
}

TEST_CASE("cross entropy: logits that their producer saved are not overwritten") {
  const at::Tensor hidden = at::randn({6, 8}), targets = random_targets(6, 30);
  at::Tensor ours = leaf(at::randn({30, 8})), theirs = leaf(ours.detach());
  cross_entropy_sum(at::linear(hidden, ours).tanh().view({6, 30}), targets).backward();
  cross_entropy_sum_reference(at::linear(hidden, theirs).tanh(), targets).backward();
  CHECK(largest(ours.grad() - theirs.grad()) < 1e-6);
}

TEST_CASE("cross entropy: the gradient reuses the memory of the logits") {
  const at::Tensor hidden = at::randn({6, 8}), targets = random_targets(6, 30);
  at::Tensor weight = leaf(at::randn({30, 8}));
  const at::Tensor logits = at::linear(hidden, weight);
  const at::Tensor before = logits.detach().clone();
  cross_entropy_sum(logits, targets);
  CHECK(largest(logits.detach() - (before.softmax(1) - at::one_hot(targets, 30))) < 1e-6);
}

TEST_CASE("cross entropy: logits are left alone where no gradient is wanted") {
  const at::Tensor logits = random_logits(4, 10), before = logits.clone();
  cross_entropy_sum(logits, random_targets(4, 10));
  CHECK(at::equal(logits, before));
}

TEST_CASE("cross entropy: a target of vanishing probability has a finite loss") {
  at::Tensor logits = leaf(at::tensor({0.0f, 400.0f}).view({1, 2}));
  const at::Tensor loss = cross_entropy_sum(logits, at::zeros({1}, at::kLong));
  CHECK(std::abs(loss.item<double>() - 400) < 1e-4);
  loss.backward();
  CHECK(largest(logits.grad() - at::tensor({-1.0f, 1.0f}).view({1, 2})) < 1e-6);
}

TEST_CASE("cross entropy: rows of every length, saved logits and other types give the same") {
  for (const std::int64_t width : {1, 2, 15, 16, 17, 4095, 4097, 8200}) {
    const at::Tensor logits = random_logits(5, width), targets = random_targets(5, width);
    for (const double smoothing : {0.0, 0.2}) {
      at::Tensor fast = leaf(logits), wide = leaf(logits.to(at::kDouble));
      const at::Tensor kept = fast * 1, squares = kept.pow(2);  // pow saves its input: no overwriting
      const at::Tensor loss = cross_entropy_sum(kept, targets, smoothing);
      const at::Tensor expected =
          at::cross_entropy_loss(wide, targets, {}, at::Reduction::Sum, -100, smoothing);
      CHECK(std::abs(loss.item<double>() - expected.item<double>()) <=
            1e-6 * std::max(1.0, expected.item<double>()));
      CHECK(std::abs(cross_entropy_sum(logits, targets, smoothing).item<double>() - loss.item<double>()) <=
            1e-6 * std::max(1.0, loss.item<double>()));
      (loss + squares.sum()).backward();
      (expected + wide.pow(2).sum()).backward();
      CHECK(largest(fast.grad() - wide.grad()) < 2e-6);
    }
  }
}

TEST_CASE("cross entropy: logits that are not finite give a loss that is not") {
  for (const float value : {NAN, INFINITY}) {
    at::Tensor logits = at::zeros({1, 40});
    logits[0][33] = value;
    CHECK_FALSE(std::isfinite(cross_entropy_sum(logits, at::zeros({1}, at::kLong)).item<double>()));
    at::Tensor trained = leaf(logits);
    CHECK_FALSE(std::isfinite(cross_entropy_sum(trained * 1, at::zeros({1}, at::kLong)).item<double>()));
  }
}

TEST_CASE("cross entropy: no rows cost nothing and give an empty gradient") {
  at::Tensor logits = leaf(at::zeros({0, 10}));
  const at::Tensor loss = cross_entropy_sum(logits, at::zeros({0}, at::kLong));
  CHECK(loss.item<double>() == 0);
  loss.backward();
  CHECK(logits.grad().numel() == 0);
}

TEST_CASE("cross entropy: shapes that do not fit are refused") {
  REQUIRE_THROWS_AS(cross_entropy_sum(at::zeros({2, 3}), at::zeros({3}, at::kLong)), lora::Error);
}
