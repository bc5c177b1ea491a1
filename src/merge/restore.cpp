#include "lora/merge/restore.h"

#include <ATen/ATen.h>

#include <iostream>
#include <memory>

#include "base/json.h"
#include "lora/base/error.h"
#include "lora/base/files.h"
#include "lora/base/sha256.h"
#include "lora/base/text.h"
#include "lora/config/check.h"
#include "lora/model/program.h"
#include "merge/hf_folder.h"
#include "merge/merge_history.h"
#include "merge/output_path.h"
#include "merge/undo.h"

namespace lora {
namespace {

namespace fs = std::filesystem;

/// What was done and how it was proven.
struct Restoration {
  std::int64_t tensors = 0;
  std::string proof;
};

void check_options(const RestoreConfig& config) {
  check_config(config);
  if (config.undo.empty() == config.base.empty())
    throw Error(ExitCode::usage, "restore needs either --undo FILE or --base PATH", "give one of them");
  std::vector<fs::path> inputs{config.model};
  inputs.push_back(config.undo.empty() ? config.base : config.undo);
  const bool folder = fs::is_directory(config.model);
  check_output({config.out, folder ? OutputKind::folder : OutputKind::file}, inputs, config.overwrite);
}

[[noreturn]] void fail_not_base(const RestoreConfig& config, const std::string& expected,
                                const std::string& found) {
  throw Error(
      ExitCode::mismatch,
      cat("\"", config.model, "\" was merged from the base ", printable(expected.substr(0, 12)), ", \"",
          config.base.empty() ? config.undo : config.base, "\" gives ", printable(found.substr(0, 12))),
      "give the base or the undo file of that merge");
}

std::string text_of(const Json& json, const char* key) {
  return json.is_object() && json.value(key, Json()).is_string() ? json[key].get<std::string>()
                                                                 : std::string();
}

/// The fingerprint of the base, as the merged model records it. mismatch error if it is no merged model.
std::string base_of(const RestoreConfig& config, const Json& history) {
  if (text_of(history, "kind") == "merged") return text_of(history, "base_fingerprint");
  throw Error(ExitCode::mismatch, cat("\"", config.model, "\" is not a merged model"),
              "lora-merge bake leaves a history in what it writes; this one has none");
}

Restoration copy_base(const RestoreConfig& config, const Json& history) {
  if (fs::is_directory(config.model))
    throw Error(ExitCode::usage, "--base restores .pt files",
                "a folder's base is the folder itself; or give --undo");
  const std::string expected = base_of(config, history), found = Program::load(config.base).fingerprint();
  if (expected != found) fail_not_base(config, expected, found);
  write_file_atomically(config.out, MappedFile(config.base).bytes());
  return {0, "the output is the base file, byte by byte"};
}

Restoration undo_file(const RestoreConfig& config, const Json& history, const Undo& undo) {
  const std::string expected = base_of(config, history);
  if (const std::string stated = text_of(undo.facts, "base_fingerprint"); stated != expected)
    fail_not_base(config, expected, stated);
  std::map<std::string, at::Tensor> weights;
  const Program merged = Program::load(config.model);
  for (const std::string& name : undo.names()) weights[name] = undo.before(name, merged.weight(name).value);
  const Json before = undo.facts.value("history", Json());
  PendingFile file(config.out, fs::file_size(config.model));
  merged.save(file, weights, before.is_object() ? before.dump() : std::string());
  const std::string found = Program::load(file.path()).fingerprint();
  if (found != expected) fail_not_base(config, expected, found);
  file.accept();
  return {static_cast<std::int64_t>(weights.size()), "all weights have the base's fingerprint"};
}

/// A shard with the tensors before the merge. mismatch error unless it becomes the base's file byte by byte.
std::unique_ptr<PendingFile> restored_shard(const RestoreConfig& config, const PendingFolder& out,
                                            const MappedSafetensors& shard, const Undo& undo) {
  const std::string name = shard.path().filename().string();
  auto file = out.begin(name, fs::file_size(shard.path()));
  const auto changed = undo.names();
  Sha256 hash;
  const auto put = [&](std::string_view bytes) {
    hash.update(bytes.data(), bytes.size());
    file->write(bytes);
  };
  put(shard.header());
  for (const SafetensorsEntry& entry : shard.entries()) {
    const bool is_changed = std::find(changed.begin(), changed.end(), entry.name) != changed.end();
    const at::Tensor before = is_changed ? undo.before(entry.name, shard.tensor(entry)) : at::Tensor();
    put(is_changed ? bytes_of(before) : shard.bytes(entry));
  }
  const std::string expected = text_of(undo.facts.value("files", Json()), name.c_str()), found = hash.hex();
  if (found != expected) fail_not_base(config, expected, found);
  return file;
}

Restoration undo_folder(const RestoreConfig& config, const Json& history, const Undo& undo) {
  base_of(config, history);
  const HfFolder folder(config.model);
  PendingFolder out(config.out);
  std::vector<std::unique_ptr<PendingFile>> shards;
  for (const auto& shard : folder.shards()) shards.push_back(restored_shard(config, out, *shard, undo));
  for (const fs::path& file : folder.other_files()) {
    if (file.filename() != kHistoryFile) out.write(file.filename().string(), read_file(file));
  }
  for (const auto& shard : shards) shard->accept();
  out.accept();
  return {static_cast<std::int64_t>(undo.names().size()), "every weight file has the base's bytes"};
}

Restoration restored(const RestoreConfig& config) {
  const Json history = read_history(config.model);
  if (!config.base.empty()) return copy_base(config, history);
  const Undo undo(config.undo);
  return fs::is_directory(config.model) ? undo_folder(config, history, undo)
                                        : undo_file(config, history, undo);
}

}  // namespace

int restore(const RestoreConfig& config) {
  check_options(config);
  const Restoration done = restored(config);
  if (config.json) {
    const Json json = {
        {"model", config.model}, {"out", config.out}, {"tensors", done.tensors}, {"verified", done.proof}};
    std::cout << json.dump(2) << "\n";
  } else {
    std::cout << "restored " << printable(config.out) << " from " << printable(config.model)
              << (done.tensors ? cat(" (", done.tensors, " tensors taken back)") : std::string())
              << "\nverified: " << done.proof << "\n";
  }
  std::cout << std::flush;
  return 0;
}

}  // namespace lora
