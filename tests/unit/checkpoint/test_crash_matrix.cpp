// Whatever happens to any call that changes the disk, what is found afterwards is whole: exactly the old or
// exactly the new, and the same work can be done again.
#include <ATen/ATen.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <functional>

#include "base/json.h"
#include "lora/base/error.h"
#include "lora/base/log.h"
#include "lora/checkpoint/adapter_folder.h"
#include "lora/checkpoint/run_folder.h"
#include "lora/checkpoint/training_state.h"
#include "support/catch.h"
#include "support/crashing_disk.h"
#include "support/temporary_folder.h"

using namespace lora;
using namespace lora::test;

namespace fs = std::filesystem;

namespace {

struct Scenario {
  std::string name;
  std::function<void(const fs::path&)> prepare, act;
  /// What a user or a later process finds. Throws if it is not whole.
  std::function<std::string(const fs::path&)> read;
};

// --- what is written ---

AdapterFolder adapter_of(std::int64_t rank) {
  AdapterFolder adapter;
  adapter.config.defaults = {"lora", rank, 8, 0};
  adapter.config.target_modules = {"query"};
  const auto filled = [&](std::int64_t rows, std::int64_t columns) {
    return at::full({rows, columns}, static_cast<double>(rank), at::kFloat);
  };
  adapter.tensors["base_model.model.query.lora_A.weight"] = filled(rank, 3);
  adapter.tensors["base_model.model.query.lora_B.weight"] = filled(4, rank);
  return adapter;
}

/// Its rank, which all of its files agree on; "none" without an adapter.
std::string describe_adapter(const fs::path& folder) {
  if (!fs::exists(folder / "adapter_config.json") && !fs::exists(folder / "adapter_model.safetensors"))
    return "none";
  const AdapterFolder adapter = read_adapter_folder(folder);
  const auto rank = adapter.config.defaults.rank;
  const at::Tensor A = adapter.tensors.at("base_model.model.query.lora_A.weight");
  if (A.size(0) != rank || !at::equal(A, at::full({rank, 3}, static_cast<double>(rank), at::kFloat)))
    return "other tensors";
  const bool own_card = read_file(folder / "README.md").find(cat("rank ", rank, "!")) != std::string::npos;
  return own_card ? cat("rank ", rank) : "another card";
}

void write_adapter(const fs::path& folder, std::int64_t rank) {
  write_adapter_folder(folder, adapter_of(rank), cat("rank ", rank, "!"));
}

/// Trains on to update `last`, with a checkpoint after every update, as the loop does.
void train_to(const fs::path& folder, std::int64_t last) {
  const CheckpointStore store(folder, 2);
  RunFolder run(folder, store.empty() ? RunFolder::Open::fresh : RunFolder::Open::resume);
  const auto newest = store.read_newest();
  std::int64_t step = newest ? newest->step : 0;
  if (newest) run.metrics().truncate(Json::parse(newest->progress).at("metrics_bytes").get<std::uint64_t>());
  while (++step <= last) {
    run.append_metrics(cat("line ", step));
    run.metrics().sync();
    store.write({step,
                 {{"values", at::full({5}, step, at::kFloat)}},
                 Json({{"metrics_bytes", run.metrics().size()}}).dump()},
                [&](const fs::path& draft) { write_adapter(draft / "adapter", step); });
  }
}

/// What a resumed run goes on from: "update 2, lines 1 2".
std::string describe_run(const fs::path& folder) {
  const auto newest = CheckpointStore(folder, 2).read_newest();
  if (!newest) return "nothing";
  if (!at::equal(newest->tensors.at("values"), at::full({5}, newest->step, at::kFloat)))
    return "other tensors";
  char name[32];
  std::snprintf(name, sizeof name, "step-%06d", static_cast<int>(newest->step));
  const std::string adapter = describe_adapter(folder / "checkpoints" / name / "adapter");
  const auto bytes = Json::parse(newest->progress).at("metrics_bytes").get<std::uint64_t>();
  const std::string lines = read_file(folder / "metrics.jsonl");
  if (lines.size() < bytes) return "lines are lost";
  return cat("update ", newest->step, ", ", adapter, ", ", lines.substr(0, bytes));
}

std::string describe_finished(const fs::path& folder) {
  if (!fs::exists(folder / "report.json")) {
    const std::string adapter = describe_adapter(folder / "adapter");  // the best so far: old or new
    return adapter == "rank 1" || adapter == "rank 7" ? describe_run(folder) : adapter;
  }
  return cat("finished after ", read_run_report(folder).updates, ", ", describe_adapter(folder / "adapter"));
}

RunReport report_of(std::int64_t updates) {
  RunReport report;
  report.method = report.variant = "lora";
  report.model_path = "m.pt";
  report.base_fingerprint = "00";
  report.updates = updates;
  report.cpu = "cpu";
  return report;
}

void finish(const fs::path& folder) {
  const CheckpointStore store(folder, 2);
  if (!fs::exists(folder / "report.json")) {
    RunFolder run(folder, RunFolder::Open::resume);
    write_adapter(run.adapter(), 7);
    run.write_report(report_of(3));
  }
  store.clear();
}

void write_merged(const fs::path& file, char letter) {
  PendingFile pending(file, 300);
  for (int part = 0; part < 3; ++part) pending.write(std::string(100, letter));
  pending.accept();
}

/// As a merged Hugging Face folder is: large files are written first and take their names last.
void write_folder(const fs::path& folder, char letter) {
  PendingFolder pending(folder);
  const auto first = pending.begin("1.safetensors", 100), second = pending.begin("2.safetensors", 100);
  for (const auto* shard : {&first, &second}) (*shard)->write(std::string(100, letter));
  pending.write("config.json", std::string(10, letter));
  for (const auto* shard : {&first, &second}) (*shard)->accept();
  pending.accept();
}

std::string content(const fs::path& file) { return fs::exists(file) ? read_file(file) : "none"; }

std::vector<Scenario> scenarios() {
  const auto nothing = [](const fs::path&) {};
  return {
      {"a first file", nothing, [](const fs::path& at) { write_merged(at / "merged.pt", 'n'); },
       [](const fs::path& at) { return content(at / "merged.pt"); }},
      {"a file in place of another", [](const fs::path& at) { write_merged(at / "merged.pt", 'o'); },
       [](const fs::path& at) { write_merged(at / "merged.pt", 'n'); },
       [](const fs::path& at) { return content(at / "merged.pt"); }},
      {"a folder of several files in place of another",
       [](const fs::path& at) { write_folder(at / "merged", 'o'); },
       [](const fs::path& at) { write_folder(at / "merged", 'n'); },
       [](const fs::path& at) {
         return content(at / "merged/1.safetensors") + content(at / "merged/2.safetensors") +
                content(at / "merged/config.json");
       }},
      {"a first adapter", nothing, [](const fs::path& at) { write_adapter(at / "runs/adapter", 2); },
       [](const fs::path& at) { return describe_adapter(at / "runs/adapter"); }},
      {"an adapter in place of another", [](const fs::path& at) { write_adapter(at / "adapter", 1); },
       [](const fs::path& at) { write_adapter(at / "adapter", 2); },
       [](const fs::path& at) { return describe_adapter(at / "adapter"); }},
      {"an adapter beside files of others",
       [](const fs::path& at) {
         write_adapter(at / "adapter", 1);
         for (const char* name : {"tokenizer.json", "notes"}) std::ofstream(at / "adapter" / name) << name;
       },
       [](const fs::path& at) { write_adapter(at / "adapter", 2); },
       [](const fs::path& at) {
         return cat(describe_adapter(at / "adapter"), content(at / "adapter/tokenizer.json"),
                    content(at / "adapter/notes"));
       }},
      {"a first checkpoint", nothing, [](const fs::path& at) { train_to(at / "run", 1); },
       [](const fs::path& at) { return describe_run(at / "run"); }},
      {"a checkpoint after others", [](const fs::path& at) { train_to(at / "run", 3); },
       [](const fs::path& at) { train_to(at / "run", 4); },
       [](const fs::path& at) { return describe_run(at / "run"); }},
      {"a checkpoint after a damaged one",
       [](const fs::path& at) {
         train_to(at / "run", 3);
         fs::resize_file(at / "run/checkpoints/step-000003/training.safetensors", 9);
       },
       [](const fs::path& at) { train_to(at / "run", 3); },
       [](const fs::path& at) { return describe_run(at / "run"); }},
      {"the end of a run",
       [](const fs::path& at) {
         train_to(at / "run", 3);
         write_adapter(at / "run/adapter", 1);
       },
       [](const fs::path& at) { finish(at / "run"); },
       [](const fs::path& at) { return describe_finished(at / "run"); }},
      {"a run in place of a finished one",
       [](const fs::path& at) {
         train_to(at / "run", 3);
         finish(at / "run");
       },
       [](const fs::path& at) { RunFolder(at / "run", RunFolder::Open::overwrite); },
       [](const fs::path& at) { return describe_finished(at / "run"); }},
  };
}

// --- what happens to it ---

struct Case {
  Fault fault = Fault::none;
  std::size_t at = SIZE_MAX;
  Loss loss = Loss::none;
};

constexpr int kFailedOtherwise = 98;

/// The exit code of a process that acts on a disk with that fault.
int act(const Scenario& scenario, const fs::path& root, const Case& each) {
  const pid_t child = ::fork();
  if (child == 0) {
    start_crashing_disk(root, each.fault, each.at, each.loss);
    int code = 0;
    try {
      scenario.act(root);
    } catch (const Error& error) {
      code = static_cast<int>(error.code());
    } catch (const std::exception& error) {
      std::fprintf(stderr, "%s\n", error.what());
      code = kFailedOtherwise;
    }
    lose_power();
    ::_exit(code);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/// The calls of one that meets no fault.
std::vector<DiskCall> calls_of(const Scenario& scenario, const fs::path& root) {
  start_crashing_disk(root, Fault::none, SIZE_MAX, Loss::none);
  scenario.act(root);
  return stop_crashing_disk();
}

bool applies(Fault fault, const DiskCall& call) {
  switch (fault) {
    case Fault::torn_write:
    case Fault::short_write:
      return call.name == "write";
    case Fault::interrupted:
      return call.can_be_interrupted;
    case Fault::full:
    case Fault::full_once:
      return call.needs_space;
    default:
      return true;
  }
}

bool has_temporaries(const fs::path& root) {
  for (const auto& entry : fs::recursive_directory_iterator(root))
    if (entry.path().extension() == ".tmp") return true;
  return false;
}

/// Whether the process can and must have tidied up.
bool is_tidy(const Case& each, const DiskCall& call) {
  const bool survived = each.fault == Fault::short_write || each.fault == Fault::interrupted ||
                        each.fault == Fault::full || each.fault == Fault::full_once ||
                        each.fault == Fault::broken_once;
  return survived && each.loss == Loss::none && call.name != "unlink" && call.name != "rmdir";
}

constexpr Fault kFaults[] = {Fault::kill_before, Fault::kill_after,  Fault::torn_write,
                             Fault::short_write, Fault::interrupted, Fault::broken,
                             Fault::broken_once, Fault::full,        Fault::full_once};
constexpr const char* kFaultNames[] = {"none",  "kill before", "kill after", "torn write", "short write",
                                       "EINTR", "EIO",         "EIO once",   "ENOSPC",     "ENOSPC once"};
constexpr Loss kLosses[] = {Loss::none, Loss::data, Loss::data_and_names};

void check(const Scenario& scenario, const fs::path& prepared, const fs::path& root, const Case& each,
           const DiskCall& call, const std::string& before, const std::string& after) {
  fs::remove_all(root);
  fs::copy(prepared, root, fs::copy_options::recursive);
  INFO(scenario.name << ": " << kFaultNames[static_cast<int>(each.fault)] << " at call " << each.at << " ("
                     << call.name << "), loss of power " << static_cast<int>(each.loss));
  const int code = act(scenario, root, each);
  const std::string found = scenario.read(root);
  INFO("exit code " << code << ", found: " << found);
  const bool harmless = each.fault == Fault::short_write || each.fault == Fault::interrupted;
  if (code == kKilled || (code == static_cast<int>(ExitCode::io) && !harmless))
    REQUIRE((found == before || found == after));
  else
    REQUIRE((code == 0 && found == after));
  if (is_tidy(each, call)) REQUIRE_FALSE(has_temporaries(root));
  REQUIRE(act(scenario, root, {}) == 0);
  REQUIRE(scenario.read(root) == after);
}

}  // namespace

TEST_CASE(
    "crash matrix: every fault at every call leaves the old or the new, and the work can be done again") {
  set_log_level(LogLevel::off);
  if (::access("/dev/shm", W_OK) == 0) ::setenv("TMPDIR", "/dev/shm", 0);  // only the model loses power
  const TemporaryFolder folder;
  std::size_t cases = 0;
  for (const Scenario& scenario : scenarios()) {
    const fs::path prepared = folder / "prepared", root = folder / "root";
    fs::remove_all(prepared);
    fs::create_directory(prepared);
    scenario.prepare(prepared);
    const std::string before = scenario.read(prepared);
    fs::remove_all(root);
    fs::copy(prepared, root, fs::copy_options::recursive);
    const std::vector<DiskCall> calls = calls_of(scenario, root);
    const std::string after = scenario.read(root);
    REQUIRE(before != after);
    for (std::size_t at = 0; at < calls.size(); ++at) {
      for (const Fault fault : kFaults) {
        if (!applies(fault, calls[at])) continue;
        for (const Loss loss : kLosses) {
          check(scenario, prepared, root, {fault, at, loss}, calls[at], before, after);
          ++cases;
        }
      }
    }
    std::printf("crash matrix: %s: %zu calls, %zu cases so far\n", scenario.name.c_str(), calls.size(),
                cases);
  }
  CHECK(cases >= 500);
  set_log_level(LogLevel::info);
}
