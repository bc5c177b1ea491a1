#include <ATen/ATen.h>

#include <cmath>
#include <vector>

#include "lora/base/error.h"
#include "lora/train/optimizer.h"
#include "support/catch.h"

using lora::AdamW;
using lora::AdamWOptions;

namespace {

/// AdamW of one tensor, written from Loshchilov & Hutter's algorithm 2 in float64.
struct PlainAdamW {
  AdamWOptions options;
  at::Tensor value, first, second;
  int steps = 0;

  PlainAdamW(const at::Tensor& start, AdamWOptions chosen) : options(chosen), value(start.to(at::kDouble)) {
    first = at::zeros_like(value);
    second = at::zeros_like(value);
  }
  void step(const at::Tensor& gradient32, double rate, bool decayed) {
    const at::Tensor gradient = gradient32.to(at::kDouble);
    ++steps;
    if (decayed) value = value * (1 - rate * options.weight_decay);
    first = options.beta1 * first + (1 - options.beta1) * gradient;
    second = options.beta2 * second + (1 - options.beta2) * gradient * gradient;
    const at::Tensor mean = first / (1 - std::pow(options.beta1, steps));
    const at::Tensor variance = second / (1 - std::pow(options.beta2, steps));
    value = value - rate * mean / (variance.sqrt() + options.epsilon);
  }
};

double largest(const at::Tensor& tensor) { return tensor.abs().max().item<double>(); }

std::vector<at::Tensor> some_parameters() {
  at::manual_seed(3);
  return {at::randn({5}), at::randn({4, 6}), at::randn({33}), at::randn({2, 3, 7})};
}

std::vector<lora::TrainedTensor> pointers(std::vector<at::Tensor>& tensors) {
  std::vector<lora::TrainedTensor> result;
  for (at::Tensor& tensor : tensors) result.push_back({&tensor});
  return result;
}

}  // namespace

TEST_CASE("optimizer: 30 steps equal AdamW written out in float64") {
  const AdamWOptions options{.beta1 = 0.8, .beta2 = 0.95, .epsilon = 1e-6, .weight_decay = 0.1};
  std::vector<at::Tensor> parameters = some_parameters();
  std::vector<PlainAdamW> plain;
  for (const at::Tensor& parameter : parameters) plain.emplace_back(parameter, options);
  AdamW optimizer(pointers(parameters), options);
  for (int step = 0; step < 30; ++step) {
    const double rate = 0.02 / (1 + step);
    optimizer.zero_grad();
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      parameters[i].mutable_grad().copy_(at::randn(parameters[i].sizes()));
      plain[i].step(parameters[i].grad(), rate, parameters[i].dim() >= 2);
    }
    optimizer.step(rate);
  }
  // float32 rounding of values of magnitude 1 to 4, 30 times.
  for (std::size_t i = 0; i < parameters.size(); ++i) CHECK(largest(parameters[i] - plain[i].value) < 3e-6);
}

TEST_CASE("optimizer: parameters become views of one buffer and keep their values") {
  std::vector<at::Tensor> parameters = some_parameters();
  const std::vector<at::Tensor> before = parameters;
  AdamW optimizer(pointers(parameters), {});
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    CHECK(at::equal(parameters[i], before[i]));
    CHECK(parameters[i].is_leaf());
    CHECK(parameters[i].requires_grad());
    CHECK(parameters[i].storage().data() == optimizer.flat_values().storage().data());
    CHECK(parameters[i].grad().storage().data() == optimizer.flat_gradients().storage().data());
  }
}

TEST_CASE("optimizer: backward adds into the flat gradient") {
  std::vector<at::Tensor> parameters = some_parameters();
  AdamW optimizer(pointers(parameters), {});
  for (int pass = 0; pass < 2; ++pass) {
    at::Tensor loss = at::zeros({});
    for (const at::Tensor& parameter : parameters) loss = loss + parameter.square().sum();
    loss.backward();
  }
  for (const at::Tensor& parameter : parameters)
    CHECK(largest(parameter.grad() - 4 * parameter.detach()) < 1e-5);
  CHECK(parameters[1].grad().storage().data() == optimizer.flat_gradients().storage().data());
  optimizer.zero_grad();
  for (const at::Tensor& parameter : parameters) CHECK(largest(parameter.grad()) == 0);
}

TEST_CASE("optimizer: an update is seen by a forward pass and its gradient") {
  std::vector<at::Tensor> parameters = {at::ones({2, 2})};
  AdamW optimizer(pointers(parameters), {.weight_decay = 0});
  parameters[0].sum().backward();
  optimizer.step(0.5);
  // The first step of Adam moves by the rate against the gradient's sign.
  CHECK(largest(parameters[0].detach() - 0.5) < 1e-6);
  optimizer.zero_grad();
  parameters[0].square().sum().backward();
  CHECK(largest(parameters[0].grad() - 1.0) < 1e-6);
}

TEST_CASE("optimizer: clipping scales to the largest norm and returns the norm before") {
  std::vector<at::Tensor> parameters = {at::zeros({2}), at::zeros({1, 1})};
  AdamW optimizer(pointers(parameters), {});
  const auto set = [&] {
    parameters[0].mutable_grad().copy_(at::tensor({6.0f, 0.0f}));
    parameters[1].mutable_grad().fill_(8.0f);
  };
  set();
  CHECK(std::abs(optimizer.scale_and_clip(0.5, 1.0) - 5.0) < 1e-6);
  CHECK(std::abs(parameters[0].grad()[0].item<double>() - 0.6) < 1e-6);
  CHECK(std::abs(parameters[1].grad()[0][0].item<double>() - 0.8) < 1e-6);
  set();
  CHECK(std::abs(optimizer.scale_and_clip(0.5, 0) - 5.0) < 1e-6);
  CHECK(std::abs(parameters[1].grad()[0][0].item<double>() - 4.0) < 1e-6);
  set();
  optimizer.scale_and_clip(1.0, 100);
  CHECK(parameters[0].grad()[0].item<double>() == 6.0);
}

TEST_CASE("optimizer: a non-finite gradient shows in the norm") {
  std::vector<at::Tensor> parameters = {at::zeros({2, 2})};
  AdamW optimizer(pointers(parameters), {});
  parameters[0].mutable_grad()[0][0].fill_(std::numeric_limits<float>::infinity());
  CHECK_FALSE(std::isfinite(optimizer.scale_and_clip(1.0, 0)));
}

TEST_CASE("optimizer: half-precision parameters are trained in float32") {
  std::vector<at::Tensor> parameters = {at::ones({3, 3}, at::kBFloat16)};
  AdamW optimizer(pointers(parameters), {});
  CHECK(parameters[0].scalar_type() == at::kFloat);
  CHECK(at::equal(parameters[0], at::ones({3, 3})));
}

TEST_CASE("optimizer: tensors with rates of their own step as if each were alone with that rate") {
  const AdamWOptions options{.weight_decay = 0.1};
  std::vector<at::Tensor> together = some_parameters();
  const double rates[] = {1, 16, 16, 1};
  std::vector<lora::TrainedTensor> trained;
  std::vector<PlainAdamW> plain;
  for (std::size_t i = 0; i < together.size(); ++i) {
    plain.emplace_back(together[i], options);
    trained.push_back({&together[i], rates[i]});
  }
  AdamW optimizer(trained, options);
  at::manual_seed(8);
  for (int step = 0; step < 5; ++step) {
    for (std::size_t i = 0; i < together.size(); ++i) {
      const at::Tensor gradient = at::randn(together[i].sizes());
      together[i].mutable_grad().copy_(gradient);
      plain[i].step(gradient, 0.01 * rates[i], together[i].dim() >= 2);
    }
    optimizer.step(0.01);
  }
  for (std::size_t i = 0; i < together.size(); ++i)
    CHECK(largest(together[i].detach().to(at::kDouble) - plain[i].value) < 1e-5);
}

TEST_CASE("optimizer: nothing to train is refused") { REQUIRE_THROWS_AS(AdamW({}, {}), lora::Error); }
