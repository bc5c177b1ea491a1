#include <ATen/ATen.h>

#include "base/json.h"
#include "support/catch.h"
#include "support/errors.h"
#include "support/temporary_folder.h"
#include "train/loop_state.h"

using lora::check_progress;
using lora::CheckpointStore;
using lora::Json;
using lora::LoopState;
using lora::read_loop_state;
using lora::TrainingState;

namespace {

LoopState sample() {
  LoopState state;
  state.updates = 7;
  state.tokens = 12345;
  state.seconds = 1.5;
  state.final_train_loss = 2.25;
  state.parts = 2;
  state.worse_in_a_row = 3;
  state.validation_due = true;
  state.metrics_bytes = 99;
  state.best = {.step = 5, .loss = 0.5, .accuracy = 0.75};
  for (const double seconds : {3., 1., 2.}) state.step_times.add(seconds);
  return state;
}

TrainingState with(const LoopState& state) {
  return {state.updates, {{"values", at::ones({2})}}, progress_json(state)};
}

void write_nothing(const std::filesystem::path&) {}

}  // namespace

TEST_CASE("loop state: what is written is read again") {
  const LoopState read = read_loop_state(with(sample()));
  CHECK(read.updates == 7);
  CHECK(read.parts == 2);
  CHECK(read.worse_in_a_row == 3);
  CHECK(read.validation_due);
  REQUIRE(read.best);
  CHECK(read.best->accuracy == 0.75);
  CHECK(read.step_times.median() == 2);
  CHECK(progress_json(read) == progress_json(sample()));
}

TEST_CASE("loop state: a missing key, another type and a number that no loop reaches are file errors") {
  const Json whole = Json::parse(progress_json(sample()));
  const auto refuse = [](const Json& progress, const std::string& said) {
    lora::test::require_error([&] { read_loop_state({7, {}, progress.dump()}); }, lora::ExitCode::file,
                              {said});
  };
  for (const auto& [key, value] : whole.items()) {
    if (key == "best") continue;  // there may be none
    Json damaged = whole;
    damaged.erase(key);
    refuse(damaged, key);
    damaged[key] = "text";
    refuse(damaged, key);
  }
  Json damaged = whole;
  damaged["parts"] = 0;
  refuse(damaged, "\"parts\" is 0, less than 1");
}

TEST_CASE("loop state: after 100,000 updates a checkpoint is written and read back") {
  const lora::test::TemporaryFolder folder;
  const CheckpointStore store(folder.path(), 2);
  LoopState state = sample();
  for (state.updates = 0; state.updates < 100'000; ++state.updates)
    state.step_times.add(1.0 / static_cast<double>(3 + state.updates));
  store.write(with(state), write_nothing);
  const auto read = store.read_newest(check_progress);
  REQUIRE(read);
  CHECK(read_loop_state(*read).step_times.median() == state.step_times.median());
}

TEST_CASE("loop state: a checkpoint whose progress no loop wrote gives way to the one before") {
  const lora::test::TemporaryFolder folder;
  const CheckpointStore store(folder.path(), 2);
  store.write(with(sample()), write_nothing);
  store.write({8, {}, R"({"tokens": 3})"}, write_nothing);
  CHECK(store.read_newest()->step == 8);
  CHECK(store.read_newest(check_progress)->step == 7);
}
