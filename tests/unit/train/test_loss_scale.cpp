#include <ATen/ATen.h>

#include "support/catch.h"
#include "train/loss_scale.h"
#include "train/step.h"
#include "training_data.h"

using namespace lora;
using lora::test::TrainingFixture;

namespace {

at::Tensor state(double scale, double good_updates = 0) {
  return at::tensor({scale, good_updates}, at::kDouble);
}

/// An update of a fresh adapter at a rate of zero.
struct Updated {
  StepResult result;
  at::Tensor gradients, values;
  double scale;
};

Updated update(const TrainConfig& config, double scale, double rate = 0) {
  const Session session = open_session(config);
  Program& program = const_cast<Program&>(session.model.program);
  Trainee trainee(config, program);
  if (trainee.loss_scale().is_on()) trainee.loss_scale().restore(state(scale));
  std::int64_t parts = 1;
  const StepResult result =
      Stepper(session, trainee, Layout::padded).run({Update{{{0, 1, 2}, {3, 4, 5, 6}}}}, 0, rate, parts);
  return {result, trainee.optimizer().flat_gradients().clone(), trainee.optimizer().flat_values().clone(),
          trainee.loss_scale().value()};
}

double cosine(const at::Tensor& a, const at::Tensor& b) {
  return (at::dot(a, b) / (a.norm() * b.norm())).item<double>();
}

}  // namespace

TEST_CASE("loss scale: an overflow halves it, many updates without one double it") {
  LossScale scale(true);
  const double start = scale.value();
  CHECK(scale.adapt(false));
  CHECK(scale.value() == start / 2);
  for (std::int64_t i = 1; i < LossScale::kGrowthUpdates; ++i) CHECK_FALSE(scale.adapt(true));
  CHECK(scale.value() == start / 2);
  scale.adapt(true);
  CHECK(scale.value() == start);
  scale.restore(state(1));
  CHECK_FALSE(scale.adapt(false));  // no lower scale mends that
  CHECK(scale.value() == 1);
}

TEST_CASE("loss scale: it goes on from its state, and off it does nothing") {
  LossScale scale(true), other(true), off(false);
  scale.adapt(false);
  for (int i = 0; i < 150; ++i) scale.adapt(true);
  other.restore(scale.state());
  for (int i = 0; i < 60; ++i) CHECK(scale.adapt(true) == other.adapt(true));
  CHECK(scale.value() == other.value());
  CHECK(at::equal(scale.state(), other.state()));
  CHECK_FALSE(off.adapt(false));
  CHECK(off.value() == 1);
}

TEST_CASE("fp16: gradients are near float32's, whatever the scale") {
  TrainingFixture fixture(8);
  const Updated exact = update(fixture.config, 1);
  fixture.config.model.precision = "fp16";
  const Updated small = update(fixture.config, 256), large = update(fixture.config, 4096);
  // Float16 has 11 significant bits.
  CHECK(cosine(small.gradients, exact.gradients) > 0.9999);
  CHECK(std::abs(small.result.loss_sum / exact.result.loss_sum - 1) < 1e-3);
  // Powers of two change no digit of a number in range.
  CHECK(((small.gradients - large.gradients).norm() / exact.gradients.norm()).item<double>() < 1e-4);
  CHECK(small.result.loss_sum == large.result.loss_sum);
}

TEST_CASE("fp16: an overflow skips the update and lowers the scale") {
  TrainingFixture fixture(8);
  fixture.config.model.precision = "fp16";
  const Updated before = update(fixture.config, 4096), skipped = update(fixture.config, 1e12, 1e-2);
  CHECK(skipped.result.overflowed);
  CHECK_FALSE(skipped.result.finite);
  CHECK(skipped.scale == 5e11);
  CHECK(at::equal(skipped.values, before.values));
  CHECK_FALSE(before.result.overflowed);
  CHECK(before.scale == 4096);
}
