#include <ATen/ATen.h>

#include "support/catch.h"
#include "train/step.h"
#include "training_data.h"

using namespace lora;
using lora::test::TrainingFixture;

namespace {

/// Trained values after some updates on all rows, split as `micro_batches` say.
at::Tensor values_after(const Session& session, const TrainConfig& config, int updates,
                        const std::vector<std::vector<std::size_t>>& micro_batches) {
  Program program = Program::load(config.model.path);
  Trainee trainee(config, program);
  for (int i = 0; i < updates; ++i) run_step(session, trainee, {micro_batches}, Layout::padded, 1e-2);
  return trainee.optimizer().flat_values().clone();
}

}  // namespace

TEST_CASE("step: splitting an update into micro-batches changes rounding only") {
  const TrainingFixture fixture(6);
  const Session session = open_session(fixture.config);
  const at::Tensor whole = values_after(session, fixture.config, 3, {{0, 1, 2, 3, 4, 5}});
  const at::Tensor parts = values_after(session, fixture.config, 3, {{0}, {1, 2}, {3, 4, 5}});
  // Adam divides by the gradient's size, so single elements with gradients near zero may differ more.
  CHECK(((whole - parts).norm() / whole.norm()).item<double>() < 1e-4);
  CHECK((whole - values_after(session, fixture.config, 0, {})).norm().item<double>() > 0.1);
}

TEST_CASE("step: the reported loss is the mean over labelled tokens, padding and prompts left out") {
  const TrainingFixture fixture(3);
  const Session session = open_session(fixture.config);
  Program program = Program::load(fixture.config.model.path);
  Trainee trainee(fixture.config, program);
  double expected = 0;
  std::int64_t labelled = 0, tokens = 0;
  for (const EncodedRow& row : session.rows.rows) {
    // One row at a time, in the plainest way.
    const at::Tensor ids = at::tensor(std::vector<std::int64_t>(row.ids.begin(), row.ids.end()), at::kLong);
    const at::Tensor logits = trainee.executable().logits({ids.unsqueeze(0), {}, {}})[0].detach();
    for (std::size_t t = 1; t < row.ids.size(); ++t) {
      if (row.labels[t] < 0) continue;
      expected -= at::log_softmax(logits[static_cast<std::int64_t>(t) - 1], 0)[row.labels[t]].item<double>();
      ++labelled;
    }
    tokens += static_cast<std::int64_t>(row.ids.size()) - 1;
  }
  const StepResult result = run_step(session, trainee, {{{0, 1, 2}}}, Layout::padded, 0);
  CHECK(result.labelled == labelled);
  CHECK(result.tokens == tokens);
  CHECK(result.loss_sum == Catch::Detail::Approx(expected).epsilon(1e-5));
}

TEST_CASE("step: a non-finite loss changes nothing") {
  const TrainingFixture fixture(4);
  const Session session = open_session(fixture.config);
  Program program = Program::load(fixture.config.model.path);
  Trainee trainee(fixture.config, program);
  const at::Tensor before = trainee.optimizer().flat_values().clone();
  program.set_weight("head_weight", at::full_like(program.weight("head_weight").value, NAN));
  CHECK_FALSE(run_step(session, trainee, {{{0, 1}}}, Layout::padded, 1e-2).finite);
  CHECK(at::equal(before, trainee.optimizer().flat_values()));
}
