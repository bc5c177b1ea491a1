#include <ATen/ATen.h>

#include <vector>

#include "lora/kernels/gated.h"
#include "lora/kernels/rms_norm.h"
#include "lora/kernels/rotary.h"
#include "support/catch.h"

using lora::Gate;

namespace {

double largest_difference(const at::Tensor& a, const at::Tensor& b) {
  return (a - b).abs().max().item<double>();
}

at::Tensor leaf(const at::Tensor& value) { return value.detach().clone().set_requires_grad(true); }

/// Value and gradients of a function of several leaves under a random upstream gradient.
template <class Function>
std::vector<at::Tensor> run(const std::vector<at::Tensor>& values, Function function) {
  std::vector<at::Tensor> leaves;
  for (const at::Tensor& value : values) leaves.push_back(leaf(value));
  const at::Tensor result = function(leaves);
  at::manual_seed(11);
  (result * at::randn(result.sizes())).sum().backward();
  std::vector<at::Tensor> all = {result.detach()};
  for (const at::Tensor& each : leaves) all.push_back(each.grad());
  return all;
}

void check_close(const std::vector<at::Tensor>& ours, const std::vector<at::Tensor>& theirs,
                 double tolerance) {
  REQUIRE(ours.size() == theirs.size());
  for (std::size_t i = 0; i < ours.size(); ++i) {
    INFO("tensor " << i);
    CHECK(largest_difference(ours[i], theirs[i]) <= tolerance * theirs[i].abs().max().item<double>());
  }
}

}  // namespace

TEST_CASE("RMS norm: value and gradients of input and weight equal the reference") {
  at::manual_seed(1);
  for (const std::int64_t dim : {3, 15, 16, 576}) {
    for (const double offset : {0.0, 1.0}) {
      const std::vector<at::Tensor> values = {at::randn({3, 37, dim}) * 5, at::randn({dim})};
      check_close(
          run(values, [&](const auto& x) { return lora::rms_norm(x[0], x[1], 1e-6, offset); }),
          run(values, [&](const auto& x) { return lora::rms_norm_reference(x[0], x[1], 1e-6, offset); }),
          2e-6);
    }
  }
}

TEST_CASE("RMS norm: heads that lie by time keep their layout, bfloat16 goes the reference's way") {
  const at::Tensor x = at::randn({2, 9, 4, 16}).transpose(1, 2), weight = at::randn({16});
  const at::Tensor y = lora::rms_norm(x, weight, 1e-6, 1);
  CHECK(y.strides() == x.strides());
  CHECK(largest_difference(y, lora::rms_norm_reference(x, weight, 1e-6, 1)) < 1e-6);
  const at::Tensor half = x.to(at::kBFloat16), narrow = weight.to(at::kBFloat16);
  CHECK(at::equal(lora::rms_norm(half, narrow, 1e-6, 0), lora::rms_norm_reference(half, narrow, 1e-6, 0)));
}

TEST_CASE("gated MLP: value and both gradients equal the reference, far from zero, too") {
  at::manual_seed(2);
  const at::Tensor spread = at::cat({at::randn({500}) * 3, at::linspace(-120, 120, 501)});
  const std::vector<at::Tensor> values = {spread, at::randn_like(spread)};
  for (const Gate act : {Gate::silu, Gate::gelu_tanh}) {
    check_close(run(values, [&](const auto& x) { return lora::gated(act, x[0], x[1]); }),
                run(values, [&](const auto& x) { return lora::gated_reference(act, x[0], x[1]); }), 1e-6);
  }
}

TEST_CASE("rotary embedding: value and gradient equal the reference for both layouts") {
  at::manual_seed(4);
  const at::Tensor angles = at::randn({1, 1, 9, 32});
  const auto forms = {at::randn({2, 3, 9, 32}), at::randn({2, 9, 3, 32}).transpose(1, 2)};
  for (const at::Tensor& x : forms) {
    check_close(
        run({x}, [&](const auto& each) { return lora::rotary(each[0], angles.cos(), angles.sin()); }),
        run({x},
            [&](const auto& each) { return lora::rotary_reference(each[0], angles.cos(), angles.sin()); }),
        1e-6);
  }
  const at::Tensor own = at::randn({2, 1, 9, 32}), x = at::randn({2, 3, 9, 32});
  CHECK(largest_difference(lora::rotary(x, own.cos(), own.sin()),
                           lora::rotary_reference(x, own.cos(), own.sin())) < 1e-6);
}
