#include "lora/checkpoint/run_folder.h"
#include "support/catch.h"
#include "support/errors.h"
#include "support/sample_adapter.h"
#include "support/temporary_folder.h"

using namespace lora;
using namespace lora::test;

namespace {

RunReport some_report() {
  RunReport report;
  report.method = "lora";
  report.variant = "lora, rank-stabilised";
  report.model_path = "m.pt";
  report.base_fingerprint = "00ff";
  report.trainable_parameters = 123;
  report.total_parameters = 4567;
  report.updates = 10;
  report.tokens = 2000;
  report.train_seconds = 1.5;
  report.tokens_per_second = 1333.25;
  report.peak_bytes = 5'000'000'000;
  report.best_valid_loss = 0.25;
  report.best_step = 8;
  report.final_train_loss = 0.125;
  report.checkpoint_bytes = 99;
  report.cpu = "some cpu";
  return report;
}

}  // namespace

TEST_CASE("run folder: a report comes back as it was written") {
  const TemporaryFolder folder;
  const auto path = folder / "run";
  RunReport report = some_report();
  RunFolder(path, RunFolder::Open::fresh).write_report(report);
  RunReport read = read_run_report(path);
  CHECK(read.method == report.method);
  CHECK(read.variant == report.variant);
  CHECK(read.model_path == report.model_path);
  CHECK(read.base_fingerprint == report.base_fingerprint);
  CHECK(read.trainable_parameters == report.trainable_parameters);
  CHECK(read.total_parameters == report.total_parameters);
  CHECK(read.updates == report.updates);
  CHECK(read.tokens == report.tokens);
  CHECK(read.train_seconds == report.train_seconds);
  CHECK(read.tokens_per_second == report.tokens_per_second);
  CHECK(read.peak_bytes == report.peak_bytes);
  CHECK(read.best_valid_loss == report.best_valid_loss);
  CHECK(read.best_step == report.best_step);
  CHECK(read.final_train_loss == report.final_train_loss);
  CHECK(read.checkpoint_bytes == report.checkpoint_bytes);
  CHECK(read.cpu == report.cpu);
  report.best_valid_loss = std::nullopt;
  RunFolder(path, RunFolder::Open::overwrite).write_report(report);
  CHECK_FALSE(read_run_report(path).best_valid_loss);
}

TEST_CASE("run folder: a finished run is replaced only with overwrite, an unfinished one always") {
  const TemporaryFolder folder;
  const auto path = folder / "run";
  {
    RunFolder run(path, RunFolder::Open::fresh);
    run.append_metrics(R"({"step": 1})");
    run.write_config("{}");
  }
  {
    RunFolder run(path, RunFolder::Open::fresh);
    run.append_metrics(R"({"step": 2})");
    run.write_report(some_report());
  }
  CHECK(file_text(path / "metrics.jsonl") == "{\"step\": 2}\n");
  require_error([&] { RunFolder(path, RunFolder::Open::fresh); }, ExitCode::usage, {"holds a finished run"});
  CHECK(read_run_report(path).updates == 10);
  const RunFolder replaced(path, RunFolder::Open::overwrite);
  require_error([&] { read_run_report(path); }, ExitCode::file, {"no finished run", "report.json"});
}

TEST_CASE("run folder: overwriting keeps the old model files until new ones replace them") {
  const TemporaryFolder folder;
  const auto path = folder / "run";
  RunFolder(path, RunFolder::Open::fresh).write_report(some_report());
  put_text(path / "model.pt", "old");
  RunFolder(path, RunFolder::Open::overwrite).write_report(some_report());
  CHECK(file_text(path / "model.pt") == "old");
}

TEST_CASE("run folder: a second training in the same folder is locked out") {
  const TemporaryFolder folder;
  const RunFolder first(folder / "run", RunFolder::Open::fresh);
  require_error([&] { RunFolder(folder / "run", RunFolder::Open::fresh); }, ExitCode::locked);
}

TEST_CASE("run report: foreign and damaged reports are file errors that name the key") {
  const TemporaryFolder folder;
  const auto report = folder / "report.json";
  require_error([&] { read_run_report(folder.path()); }, ExitCode::file, {"no finished run"});
  put_text(report, "{");
  require_error([&] { read_run_report(folder.path()); }, ExitCode::file, {"report.json", "JSON"});
  put_text(report, R"({"method": "lora", "variant": "lora"})");
  require_error([&] { read_run_report(folder.path()); }, ExitCode::file, {"\"model\" is missing"});
  RunFolder(folder / "run", RunFolder::Open::fresh).write_report(some_report());
  std::filesystem::copy_file(folder / "run/report.json", report,
                             std::filesystem::copy_options::overwrite_existing);
  edit(report, "\"updates\": 10", "\"updates\": \"x\"");
  require_error([&] { read_run_report(folder.path()); }, ExitCode::file,
                {"\"updates\" must be a whole number"});
}
