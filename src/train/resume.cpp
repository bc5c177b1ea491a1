#include "train/resume.h"

#include <algorithm>
#include <set>
#include <vector>

#include "base/json.h"
#include "lora/base/error.h"
#include "lora/base/log.h"
#include "lora/base/text.h"
#include "lora/config/config_json.h"

namespace lora {
namespace {

/// Options that do not change what is trained: where and how it is reported, saved and stopped. Threads
/// change rounding.
const std::set<std::string>& free_options() {
  static const std::set<std::string> names = {"resume",
                                              "allow_change",
                                              "out",
                                              "overwrite",
                                              "json",
                                              "list_targets",
                                              "dry_run",
                                              "log_every",
                                              "save_every",
                                              "threads",
                                              "device",
                                              "keep_checkpoints",
                                              "max_minutes",
                                              "model",
                                              "tokenizer",
                                              "data",
                                              "valid",
                                              "min_coverage",
                                              "profile",
                                              "checkpoint_activations",
                                              "cache",
                                              "cache_gib",
                                              "cache_activations",
                                              "rank_timeout"};
  return names;
}

struct Difference {
  std::string name, before, now;
};

/// Options by value, files by their content.
std::vector<Difference> differences(const Session& session, const Json& recorded) {
  std::vector<Difference> found;
  const Json now = training_options(session.config), before = recorded.value("options", Json::object());
  for (const auto& [name, value] : now.items()) {
    const Json old = before.value(name, Json());
    if (old != value) found.push_back({name, old.dump(), value.dump()});
  }
  const auto compare_hash = [&](const char* name, const char* key, const std::string& hash) {
    const Json old = recorded.value(key, Json());
    const std::string text = old.is_string() ? old.get<std::string>() : "";
    if (text != hash) found.push_back({name, "sha256 " + text.substr(0, 12), "sha256 " + hash.substr(0, 12)});
  };
  const int ranks_before = recorded.value("ranks", 1);
  if (ranks_before != session.ranks.count())
    found.push_back({"ranks", std::to_string(ranks_before), std::to_string(session.ranks.count())});
  compare_hash("model", "base_fingerprint", session.model.program.fingerprint());
  compare_hash("tokenizer", "tokenizer_sha256", session.model.tokenizer_hash);
  compare_hash("data", "data_sha256", session.data.sha256);
  compare_hash("valid", "valid_sha256", session.valid_data ? session.valid_data->sha256 : "");
  return found;
}

}  // namespace

Json training_options(const TrainConfig& config) {
  const Json all = Json::parse(config_json(config));
  Json options = Json::object();
  for (const auto& [name, value] : all.items())
    if (!free_options().count(name)) options[name] = value;
  return options;
}

TrainConfig with_resumed_folder(TrainConfig config) {
  if (config.resume.empty() || config.resume == "auto") return config;
  config.out = config.resume;
  return config;
}

void check_resumable(const Session& session, const std::string& recorded_config) {
  const auto& allowed = session.config.allow_change;
  std::vector<std::string> refused, names;
  const Json recorded = parse_json(recorded_config, {"config.json of the run", ExitCode::file});
  for (const auto& [name, before, now] : differences(session, recorded)) {
    const std::string text = cat(name, ": ", before, " -> ", now);
    if (std::find(allowed.begin(), allowed.end(), name) != allowed.end()) {
      log_info("train", "resumed with a change: ", text);
      continue;
    }
    refused.push_back(text);
    names.push_back(name);
  }
  if (refused.empty()) return;
  throw Error(ExitCode::mismatch, cat("the run cannot go on as another one; changed: ", join(refused, "; ")),
              cat("give what it began with, or --allow-change ", join(names, ","), " if you mean it"));
}

}  // namespace lora
