#include <ATen/ATen.h>

#include <tuple>

#include "lora/base/log.h"
#include "support/errors.h"
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
  std::int64_t parts = 1;
  Stepper stepper(session, trainee, Layout::padded);
  for (int i = 0; i < updates; ++i) stepper.run({Update{micro_batches}}, i, 1e-2, parts);
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
  std::int64_t parts = 1;
  const StepResult result = Stepper(session, trainee, Layout::padded).run({Update{{{0, 1, 2}}}}, 0, 0, parts);
  CHECK(result.labelled == labelled);
  CHECK(result.tokens == tokens);
  CHECK(result.loss_sum == Catch::Detail::Approx(expected).epsilon(1e-5));
}

TEST_CASE("step: an update without a labelled token is an error, since it would train nothing") {
  const TrainingFixture fixture(3);
  const Session session = open_session(fixture.config);
  Program program = Program::load(fixture.config.model.path);
  Trainee trainee(fixture.config, program);
  std::int64_t parts = 1;
  lora::test::require_error(
      [&] { Stepper(session, trainee, Layout::padded).run({Update{}}, 0, 1e-2, parts); },
      lora::ExitCode::internal, {"no labelled token"});
}

TEST_CASE("step: a non-finite loss changes nothing") {
  const TrainingFixture fixture(4);
  const Session session = open_session(fixture.config);
  Program program = Program::load(fixture.config.model.path);
  Trainee trainee(fixture.config, program);
  const at::Tensor before = trainee.optimizer().flat_values().clone();
  program.set_weight("head_weight", at::full_like(program.weight("head_weight").value, NAN));
  std::int64_t parts = 1;
  CHECK_FALSE(Stepper(session, trainee, Layout::padded).run({Update{{{0, 1}}}}, 0, 1e-2, parts).finite);
  CHECK(at::equal(before, trainee.optimizer().flat_values()));
}

namespace {

/// Trained values after three updates on six rows that some lanes share.
at::Tensor values_by_lanes(const TrainingFixture& fixture, const std::vector<Update>& lanes) {
  const Session session = open_session(fixture.config);
  Program program = Program::load(fixture.config.model.path);
  Trainee trainee(fixture.config, program);
  Stepper stepper(session, trainee, Layout::padded, static_cast<int>(lanes.size()));
  std::int64_t parts = 1;
  for (int i = 0; i < 3; ++i) {
    const StepResult result = stepper.run(lanes, i, 1e-2, parts);
    CHECK(result.finite);
    CHECK(result.labelled > 0);
  }
  return trainee.optimizer().flat_values().clone();
}

}  // namespace

TEST_CASE("step: lanes change rounding only, and that alike each time") {
  TrainingFixture fixture(6);
  fixture.config.method = GENERATE("lora", "full");  // the second trains the head, too, by its parts
  const at::Tensor whole = values_by_lanes(fixture, {{{{0, 1, 2}, {3, 4, 5}}}});
  const std::vector<Update> three = {{{{0, 1}}}, {{{2}, {3, 4}}}, {{{5}}}};
  const at::Tensor shared = values_by_lanes(fixture, three);
  CHECK(((whole - shared).norm() / whole.norm()).item<double>() < 1e-4);
  CHECK_FALSE(at::equal(whole, shared));  // another order of sums: they were there
  CHECK(at::equal(shared, values_by_lanes(fixture, three)));
  const std::vector<Update> with_idle = {{{{0, 1, 2}, {3, 4, 5}}}, {}};
  CHECK(at::equal(whole, values_by_lanes(fixture, with_idle)));
}

TEST_CASE("step: what dropout drops depends on seed, lane and number of the update alone") {
  TrainingFixture fixture(6);
  fixture.config.dropout = 0.3;
  const std::vector<Update> lanes = {{{{0, 1, 2}}}, {{{3, 4, 5}}}};
  const at::Tensor values = values_by_lanes(fixture, lanes);
  CHECK(at::equal(values, values_by_lanes(fixture, lanes)));
  fixture.config.seed = 43;
  CHECK_FALSE(at::equal(values, values_by_lanes(fixture, lanes)));
}

TEST_CASE("step: parts hold the same rows in the same order") {
  const Update update{{{7, 1, 4, 2, 9}, {3}, {5, 6}}};
  CHECK(split(update, 1).micro_batches == update.micro_batches);
  CHECK(split(update, 2).micro_batches ==
        std::vector<std::vector<std::size_t>>{{7, 1}, {4, 2, 9}, {3}, {5}, {6}});
  CHECK(split(update, 8).micro_batches ==
        std::vector<std::vector<std::size_t>>{{7}, {1}, {4}, {2}, {9}, {3}, {5}, {6}});
}

namespace {

/// Rows of 100 ids and a model that so many positions are too much for.
struct TightFixture : TrainingFixture {
  explicit TightFixture(int positions, double dropout = 0) : TrainingFixture(1) {
    std::vector<int> ids(100);
    for (int i = 0; i < 100; ++i) ids[static_cast<std::size_t>(i)] = i * 3 % 40 + 1;
    const std::string row =
        cat("{\"input_ids\": [", join(ids, ","), "], \"labels\": [", join(ids, ","), "]}\n");
    write_file_atomically(folder / "train.jsonl", row + row + row + row + row + row);
    config.valid.clear();
    config.model.path = models.transformer(lora::test::too_large_from(positions)).string();
    config.dropout = dropout;
  }
};

/// Values and the parts after three updates on the six rows.
std::pair<at::Tensor, std::int64_t> train_with(const TightFixture& fixture, std::int64_t parts = 1) {
  const Session session = open_session(fixture.config);
  Program program = Program::load(fixture.config.model.path);
  Trainee trainee(fixture.config, program);
  Stepper stepper(session, trainee, Layout::padded);
  for (int i = 0; i < 3; ++i) stepper.run({Update{{{0, 1, 2, 3, 4, 5}}}}, i, 1e-2, parts);
  return {trainee.optimizer().flat_values().clone(), parts};
}

}  // namespace

TEST_CASE("step: where memory runs out micro-batches are halved, else it is as if they had always been so") {
  set_log_level(LogLevel::error);
  for (const double dropout : {0.0, 0.3}) {
    const auto [values, parts] = train_with(TightFixture(198, dropout));
    CHECK(parts == 8);  // six rows in 4 parts are still two at a time
    CHECK(at::equal(values, train_with(TightFixture(1000, dropout), 8).first));
  }
  const at::Tensor whole = train_with(TightFixture(1000)).first;
  const auto [values, parts] = train_with(TightFixture(250));
  CHECK(parts == 4);
  CHECK(((whole - values).norm() / whole.norm()).item<double>() < 1e-4);  // the order of sums
  set_log_level(LogLevel::info);
}

TEST_CASE("step: where a single row is too much the memory error leaves everything as it was") {
  set_log_level(LogLevel::error);
  const TightFixture fixture(99, 0.3);
  const Session session = open_session(fixture.config);
  Program program = Program::load(fixture.config.model.path);
  Trainee trainee(fixture.config, program);
  const TensorMap before = trainee.state();
  std::int64_t parts = 1;
  lora::test::require_error(
      [&] { Stepper(session, trainee, Layout::padded).run({Update{{{0, 1, 2, 3}}}}, 0, 1e-2, parts); },
      ExitCode::memory, {"not enough memory"});
  for (const auto& [name, tensor] : trainee.state()) CHECK(at::equal(tensor, before.at(name)));
  set_log_level(LogLevel::info);
}
