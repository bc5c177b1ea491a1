#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include "support/errors.h"
#include "train/gradient_check.h"
#include "train/step.h"
#include "training_data.h"

using namespace lora;
using lora::test::require_error;

namespace {

at::Tensor leaf(at::Tensor values) { return values.set_requires_grad(true); }

/// One target of two factors and a whole bias; the program is not asked.
struct Factors {
  Site site;
  Adapter adapter;

  Factors(const at::Tensor& A, const at::Tensor& B) {
    site.path = "query";
    adapter.targets.push_back({{&site}, {}, {{"lora_A.weight", leaf(A)}, {"lora_B.weight", leaf(B)}}});
    adapter.saved_weights["bias"] = leaf(at::zeros({2}));
  }
  at::Tensor& A() { return adapter.targets[0].tensors.at("lora_A.weight"); }
  at::Tensor& B() { return adapter.targets[0].tensors.at("lora_B.weight"); }
  at::Tensor& bias() { return adapter.saved_weights.at("bias"); }

  /// The gradients of one update, and a step along them.
  void update(const at::Tensor& a, const at::Tensor& b, const at::Tensor& bias_gradient) {
    const at::NoGradGuard no_grad;
    A().mutable_grad() = a;
    B().mutable_grad() = b;
    bias().mutable_grad() = bias_gradient;
    for (at::Tensor* each : {&A(), &B(), &bias()}) each->sub_(each->grad());
  }
};

const at::Tensor kNone = at::zeros({2}), kSome = at::ones({2});

}  // namespace

TEST_CASE("gradients: the partner of a zero factor is looked at when that has moved") {
  Factors factors(at::ones({2}), at::zeros({2}));
  GradientCheck check(factors.adapter);
  factors.update(kNone, kSome, kSome);
  check.look(0);
  CHECK_FALSE(check.is_done());
  SECTION("and is done with a gradient") {
    factors.update(kSome, kSome, kSome);
    check.look(1);
    CHECK(check.is_done());
  }
  SECTION("and is named without") {
    factors.update(kNone, kSome, kSome);
    require_error([&] { check.look(1); }, ExitCode::diverged,
                  {"1 trained tensors got no gradient in update 2: query.lora_A.weight"});
  }
}

TEST_CASE("gradients: tensors that the loss does not depend on are named at once") {
  Factors factors(at::ones({2}), at::zeros({2}));
  GradientCheck check(factors.adapter);
  SECTION("both factors") {
    factors.update(kNone, kNone, kSome);
    require_error([&] { check.look(0); }, ExitCode::diverged,
                  {"2 trained", "lora_A.weight, query.lora_B.weight"});
  }
  SECTION("a weight of its own") {
    factors.update(kNone, kSome, kNone);
    require_error([&] { check.look(0); }, ExitCode::diverged, {"1 trained tensors", "update 1: bias"});
  }
}

TEST_CASE("gradients: where no factor is zero all have a gradient at once") {
  Factors factors(at::ones({2}), at::ones({2}));
  GradientCheck check(factors.adapter);
  factors.update(kNone, kSome, kSome);
  require_error([&] { check.look(0); }, ExitCode::diverged, {"query.lora_A.weight"});
}

TEST_CASE("gradients: every method and start gives all of its tensors a gradient within two updates") {
  const lora::test::TrainingFixture fixture(6);
  const auto try_out = [&](auto change) {
    TrainConfig config = fixture.config;
    change(config);
    const Session session = open_session(config);
    Program program = Program::load(config.model.path);
    Trainee trainee(config, program);
    GradientCheck check(trainee.adapter());
    std::int64_t parts = 1;
    for (std::int64_t i = 0; i < 2; ++i) {
      Stepper(session, trainee, Layout::padded).run({Update{{{0, 1, 2, 3, 4, 5}}}}, 0, 1e-2, parts);
      check.look(i);
    }
    CHECK(check.is_done());
  };
  for (const char* method : {"lora", "dora", "bottleneck"})
    try_out([&](TrainConfig& c) { c.method = method; });
  for (const char* init : {"pissa", "olora"}) try_out([&](TrainConfig& c) { c.init = init; });
  try_out([](TrainConfig& c) { c.freeze_a = true; });
}
