#include "train/resume.h"

#include <torch/headeronly/version.h>

#include <algorithm>
#include <filesystem>
#include <set>
#include <tuple>
#include <vector>

#include "base/json.h"
#include "config/problems.h"
#include "lora/base/error.h"
#include "lora/base/log.h"
#include "lora/base/process.h"
#include "lora/base/text.h"
#include "lora/base/version.h"
#include "lora/config/config_json.h"

namespace lora {
namespace {

/// Options that do not change what is trained: where and how it is reported, saved and stopped. Threads
/// and lanes change rounding, and lanes what dropout drops.
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
                                              "lanes",
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

/// What a run is compared by besides options.
struct Compared {
  const char* name;  ///< as --allow-change has it
  const char* key;   ///< in config.json of a run
  Json (*now)(const Session& session);
};

constexpr Compared kCompared[] = {
    {"ranks", "ranks", [](const Session& session) { return Json(session.ranks.count()); }},
    {"model", "base_fingerprint",
     [](const Session& session) { return Json(session.model.program.fingerprint()); }},
    {"model", "base_code_sha256",
     [](const Session& session) { return Json(session.model.program.code_hash()); }},
    {"model", "classes",
     [](const Session& session) {
       const auto names = class_names(session.model.program.info());
       return names.empty() ? Json() : Json(names);
     }},
    {"tokenizer", "tokenizer_sha256",
     [](const Session& session) { return Json(session.model.tokenizer_hash); }},
    {"data", "data_sha256", [](const Session& session) { return Json(session.data.sha256); }},
    {"valid", "valid_sha256",
     [](const Session& session) { return session.valid_data ? Json(session.valid_data->sha256) : Json(); }}};

/// Hashes in short.
std::string shown(const Json& content) {
  return content.is_string() ? "sha256 " + content.get<std::string>().substr(0, 12) : content.dump();
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
  for (const Compared& each : kCompared) {
    const Json old = recorded.value(each.key, Json()), value = each.now(session);
    const bool named = !found.empty() && found.back().name == each.name;
    if (old != value && !named) found.push_back({each.name, shown(old), shown(value)});
  }
  return found;
}

void warn_of_other_bits(const Session& session, const Json& recorded) {
  const Json options = recorded.value("options", Json::object()), device = options.value("device", Json());
  const std::tuple<const char*, Json, Json> circumstances[] = {
      {"threads", recorded.value("threads", Json()), session.threads},
      {"lanes", options.value("lanes", Json()), session.config.lanes},
      {"device", device, session.config.model.device},
      {"processor", recorded.value("cpu", Json()), cpu_name()},
      {"lora-train", recorded.value("lora", Json()), version()},
      {"LibTorch", recorded.value("libtorch", Json()), TORCH_VERSION}};
  std::vector<std::string> changes;
  for (const auto& [name, before, now] : circumstances) {
    if (before != now) changes.push_back(cat(name, ": ", before.dump(), " -> ", now.dump()));
  }
  if (!changes.empty())
    log_warn("train", join(changes, "; "), ": the last digits will not be those of an undisturbed run");
}

}  // namespace

Json training_options(const TrainConfig& config) {
  const Json all = Json::parse(config_json(with_absolute_paths(config)));
  Json options = Json::object();
  for (const auto& [name, value] : all.items())
    if (!free_options().count(name)) options[name] = value;
  return options;
}

Json compared_contents(const Session& session) {
  Json contents = Json::object();
  for (const Compared& each : kCompared) contents[each.key] = each.now(session);
  return contents;
}

TrainConfig with_resumed_folder(TrainConfig config) {
  if (config.resume.empty() || config.resume == "auto") return config;
  config.out = config.resume;
  return config;
}

TrainConfig with_absolute_paths(TrainConfig config) {
  for (std::string* path : {&config.model.path, &config.model.tokenizer, &config.data.path, &config.valid,
                            &config.init_adapter, &config.out}) {
    if (!path->empty()) *path = std::filesystem::absolute(*path).lexically_normal().string();
  }
  return config;
}

void check_allowed_changes(const TrainConfig& config) {
  std::vector<std::string> known;
  for (const Compared& each : kCompared) {
    if (known.empty() || known.back() != each.name) known.emplace_back(each.name);
  }
  const Json options = training_options(config);
  for (const auto& [name, value] : options.items()) known.push_back(name);
  Problems problems;
  for (const std::string& name : config.allow_change) {
    if (std::find(known.begin(), known.end(), name) == known.end())
      problems.add(cat("--allow-change: nothing that a resumed run is compared by is called \"",
                       printable(name), "\"", nearest_text(name, known)));
  }
  problems.throw_if_any();
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
  if (refused.empty()) return warn_of_other_bits(session, recorded);
  throw Error(ExitCode::mismatch, cat("the run cannot go on as another one; changed: ", join(refused, "; ")),
              cat("give what it began with, or --allow-change ", join(names, ","), " if you mean it"));
}

}  // namespace lora
