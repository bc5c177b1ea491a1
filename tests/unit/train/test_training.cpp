#include <ATen/ATen.h>

#include <fstream>

#include "base/json.h"
#include "lora/checkpoint/adapter_folder.h"
#include "lora/checkpoint/run_folder.h"
#include "lora/train/train.h"
#include "support/errors.h"
#include "training_data.h"

using namespace lora;
using lora::test::require_error;
using lora::test::TrainingFixture;

namespace {

/// Runs a training with its result line kept off the test's output.
void train_quietly(const TrainConfig& config) {
  std::ostringstream sink;
  auto* const before = std::cout.rdbuf(sink.rdbuf());
  try {
    train(config);
  } catch (...) {
    std::cout.rdbuf(before);
    throw;
  }
  std::cout.rdbuf(before);
}

std::vector<Json> metrics(const TrainConfig& config, const char* key) {
  std::ifstream file(std::filesystem::path(config.out) / "metrics.jsonl");
  std::vector<Json> lines;
  for (std::string line; std::getline(file, line);) {
    Json json = Json::parse(line);
    if (json.contains(key)) lines.push_back(std::move(json));
  }
  return lines;
}

std::string adapter_bytes(const TrainConfig& config) {
  return read_file(std::filesystem::path(config.out) / "adapter" / "adapter_model.safetensors");
}

}  // namespace

TEST_CASE("training: the loss falls, every update is logged and the run folder is whole") {
  TrainingFixture fixture;
  fixture.config.epochs = 6;
  train_quietly(fixture.config);
  const auto steps = metrics(fixture.config, "loss");
  REQUIRE(steps.size() == 36);
  CHECK(steps.back().at("loss").get<double>() < 0.7 * steps.front().at("loss").get<double>());
  CHECK(metrics(fixture.config, "valid_loss").size() == 6);
  const RunReport report = read_run_report(fixture.config.out);
  CHECK(report.updates == 36);
  CHECK(report.method == "lora");
  CHECK(report.trainable_parameters > 0);
  const Json config = Json::parse(read_file(std::filesystem::path(fixture.config.out) / "config.json"));
  CHECK(config.at("options").at("rank") == 4);
  CHECK(config.at("data_sha256").get<std::string>().size() == 64);
}

TEST_CASE("training: the same seed gives the same adapter, another seed another one") {
  TrainingFixture fixture;
  TrainConfig other = fixture.config;
  other.out += "2";
  train_quietly(fixture.config);
  train_quietly(other);
  const auto tensors = [](const TrainConfig& config) {
    return read_adapter_folder(std::filesystem::path(config.out) / "adapter").tensors;
  };
  const auto first = tensors(fixture.config), second = tensors(other);
  REQUIRE(first.size() == second.size());
  for (const auto& [name, tensor] : first) CHECK(at::equal(tensor, second.at(name)));
  other.seed = 43;
  other.overwrite = true;
  train_quietly(other);
  bool differs = false;
  for (const auto& [name, tensor] : tensors(other)) differs |= !at::equal(tensor, first.at(name));
  CHECK(differs);
}

TEST_CASE("training: the best validation is what the run folder keeps") {
  TrainingFixture fixture;
  fixture.config.epochs = 4;
  fixture.config.eval_every = 2;
  fixture.config.learning_rate = 0.3;  // wild enough to get worse at times
  fixture.config.schedule = "constant";
  train_quietly(fixture.config);
  double best = INFINITY;
  std::int64_t step = 0;
  for (const Json& line : metrics(fixture.config, "valid_loss")) {
    if (line.at("valid_loss").get<double>() < best) {
      best = line.at("valid_loss").get<double>();
      step = line.at("step").get<std::int64_t>();
    }
  }
  const RunReport report = read_run_report(fixture.config.out);
  CHECK(report.best_step == step);
  CHECK(*report.best_valid_loss == best);
}

TEST_CASE("training: patience ends a training that gets no better") {
  TrainingFixture fixture;
  fixture.config.epochs = 50;
  fixture.config.eval_every = 1;
  fixture.config.patience = 2;
  fixture.config.learning_rate = 1.0;
  fixture.config.schedule = "constant";
  train_quietly(fixture.config);
  CHECK(read_run_report(fixture.config.out).updates < 300);
  const auto validations = metrics(fixture.config, "valid_loss");
  REQUIRE(validations.size() >= 3);
  CHECK_FALSE(validations[validations.size() - 1].at("best").get<bool>());
  CHECK_FALSE(validations[validations.size() - 2].at("best").get<bool>());
}

TEST_CASE("training: diverging ends with exit code 8, names rows and keeps what was saved") {
  TrainingFixture fixture;
  fixture.config.eval_every = 1;
  fixture.config.schedule = "constant";
  fixture.config.warmup = 0;
  fixture.config.clip = 0;
  fixture.config.epochs = 20;
  fixture.config.learning_rate = 1e30;
  require_error([&] { train_quietly(fixture.config); }, ExitCode::diverged, {"3 updates in a row", "rows of the last at lines"});
  // Three led back to the checkpoint of update 1, and three more to the end.
  CHECK(metrics(fixture.config, "skipped").size() == 6);
}

TEST_CASE("training: full fine-tuning writes a model file that learned more than it started with") {
  TrainingFixture fixture;
  fixture.config.method = "full";
  fixture.config.epochs = 6;
  train_quietly(fixture.config);
  const auto validations = metrics(fixture.config, "valid_loss");
  CHECK(validations.back().at("valid_loss").get<double>() < validations.front().at("valid_loss").get<double>());
  const auto file = std::filesystem::path(fixture.config.out) / "model.pt";
  const Program tuned = Program::load(file), base = Program::load(fixture.config.model.path);
  CHECK(tuned.fingerprint() != base.fingerprint());
  CHECK(read_run_report(fixture.config.out).trainable_parameters == read_run_report(fixture.config.out).total_parameters);
}

TEST_CASE("training: missing options, taken folders and a finished run are refused before anything is read") {
  TrainingFixture fixture;
  TrainConfig config = fixture.config;
  config.model.path = "";
  require_error([&] { train_quietly(config); }, ExitCode::usage, {"--model"});
  config = fixture.config;
  config.out = "";
  require_error([&] { train_quietly(config); }, ExitCode::usage, {"--out"});
  config = fixture.config;
  config.out = fixture.folder.path().string();
  std::filesystem::copy_file(config.model.path, fixture.folder / "model.pt");
  config.model.path = (fixture.folder / "model.pt").string();
  require_error([&] { train_quietly(config); }, ExitCode::usage, {"would write over"});
  config = fixture.config;
  config.valid = "";
  config.patience = 3;
  require_error([&] { train_quietly(config); }, ExitCode::usage, {"--patience"});
  train_quietly(fixture.config);
  const std::string before = adapter_bytes(fixture.config);
  require_error([&] { train_quietly(fixture.config); }, ExitCode::usage, {fixture.config.out});
  CHECK(adapter_bytes(fixture.config) == before);
  const FolderLock lock(fixture.config.out);
  config = fixture.config;
  config.overwrite = true;
  require_error([&] { train_quietly(config); }, ExitCode::locked, {fixture.config.out});
}
