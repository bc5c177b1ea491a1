#include <ATen/ATen.h>

#include <fstream>

#include "lora/base/error.h"
#include "lora/base/log.h"
#include "lora/checkpoint/training_state.h"
#include "support/catch.h"
#include "support/errors.h"
#include "support/temporary_folder.h"

using lora::CheckpointStore;
using lora::TrainingState;

namespace {

TrainingState state_at(std::int64_t step) {
  return {step,
          {{"values", at::arange(5, at::kFloat) * step}, {"steps", at::full({1}, step, at::kLong)}},
          "{\"tokens\":3,\"loss\":0.1}"};
}

void write_nothing(const std::filesystem::path&) {}

}  // namespace

TEST_CASE("training state: what is written is read again, to the bit") {
  const lora::test::TemporaryFolder folder;
  const CheckpointStore store(folder.path(), 2);
  CHECK(store.empty());
  CHECK_FALSE(store.read_newest());
  store.write(state_at(7), write_nothing);
  const auto read = store.read_newest();
  REQUIRE(read);
  CHECK(read->step == 7);
  CHECK(at::equal(read->tensors.at("values"), state_at(7).tensors.at("values")));
  CHECK(read->tensors.at("steps").item<std::int64_t>() == 7);
  CHECK(read->progress.find("0.1") != std::string::npos);
}

TEST_CASE("training state: the newest remain, in the order of their steps") {
  const lora::test::TemporaryFolder folder;
  const CheckpointStore store(folder.path(), 2);
  for (const std::int64_t step : {9, 10, 999999, 1000000}) store.write(state_at(step), write_nothing);
  CHECK(store.read_newest()->step == 1000000);
  const auto parent = folder.path() / "checkpoints";
  CHECK(std::distance(std::filesystem::directory_iterator(parent), {}) == 2);
  CHECK(std::filesystem::exists(parent / "step-999999"));
  store.clear();
  CHECK(store.empty());
}

TEST_CASE("training state: every flipped byte of any member is noticed, and the one before is read") {
  const lora::test::TemporaryFolder folder;
  const CheckpointStore store(folder.path(), 2);
  lora::set_log_level(lora::LogLevel::error);  // thousands of warnings otherwise
  const auto write_member = [](const std::filesystem::path& draft) {
    std::filesystem::create_directory(draft / "adapter");
    std::ofstream(draft / "adapter/member") << "what an adapter holds";
  };
  store.write(state_at(1), write_member);
  store.write(state_at(2), write_member);
  for (const char* member : {"training.safetensors", "adapter/member", "state.json"}) {
    INFO(member);
    const auto file = folder.path() / "checkpoints/step-000002" / member;
    const std::string whole = lora::read_file(file);
    for (std::size_t i = 0; i + 1 < whole.size(); ++i) {  // the last of state.json ends the line
      for (const char bits : {'\1', '\x10', '\x80'}) {
        std::string damaged = whole;
        damaged[i] = static_cast<char>(damaged[i] ^ bits);
        std::ofstream(file, std::ios::binary) << damaged;
        CHECK(store.read_newest()->step == 1);
      }
    }
    for (std::size_t size = 0; size + 1 < whole.size(); ++size) {
      std::ofstream(file, std::ios::binary) << whole.substr(0, size);
      CHECK(store.read_newest()->step == 1);
    }
    std::filesystem::remove(file);
    CHECK(store.read_newest()->step == 1);
    std::ofstream(file, std::ios::binary) << whole;
    CHECK(store.read_newest()->step == 2);
  }
  lora::set_log_level(lora::LogLevel::info);
}

TEST_CASE(
    "training state: a checkpoint without its record does not count, and a failure leaves the older one") {
  const lora::test::TemporaryFolder folder;
  const CheckpointStore store(folder.path(), 2);
  store.write(state_at(1), write_nothing);
  const auto fail = [](const std::filesystem::path&) { throw lora::Error(lora::ExitCode::io, "no room"); };
  lora::test::require_error([&] { store.write(state_at(2), fail); }, lora::ExitCode::io, {"no room"});
  CHECK(store.read_newest()->step == 1);
  store.write(state_at(3), write_nothing);
  std::filesystem::remove(folder.path() / "checkpoints/step-000003/state.json");
  CHECK(store.read_newest()->step == 1);
}
