#include "lora/checkpoint/training_state.h"

#include <algorithm>
#include <cstdio>
#include <map>
#include <vector>

#include "base/json.h"
#include "lora/base/error.h"
#include "lora/base/log.h"
#include "lora/base/sha256.h"
#include "lora/base/text.h"

namespace lora {
namespace {

namespace fs = std::filesystem;

constexpr const char *kTensors = "training.safetensors", *kState = "state.json", *kPrefix = "step-";
// Keys of state.json: the record, and its hash.
constexpr const char *kRecord = "record", *kHash = "sha256", *kStep = "step", *kMembers = "members",
                     *kProgress = "progress";
constexpr std::size_t kMostStateBytes = 1 << 20;

using Hashes = std::map<std::string, std::string>;

std::string name_of(std::int64_t step) {
  char name[32];
  std::snprintf(name, sizeof name, "%s%06lld", kPrefix, static_cast<long long>(step));
  return name;
}

/// Checkpoint folders, newest first: names grow with the step, and longer names are later steps.
std::vector<fs::path> checkpoints_in(const fs::path& folder) {
  std::vector<fs::path> found;
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(folder, none)) {
    if (entry.is_directory() && entry.path().filename().string().starts_with(kPrefix))
      found.push_back(entry.path());
  }
  std::sort(found.begin(), found.end(), [](const fs::path& a, const fs::path& b) {
    const std::string left = a.filename().string(), right = b.filename().string();
    return std::pair(left.size(), left) > std::pair(right.size(), right);
  });
  return found;
}

/// What earlier processes left unfinished.
void remove_unfinished(const fs::path& folder) {
  std::error_code none;
  std::vector<fs::path> left;
  for (const auto& entry : fs::directory_iterator(folder, none)) {
    if (entry.path().filename().string().starts_with(".")) left.push_back(entry.path());
  }
  for (const fs::path& each : left) remove_tree(each);
}

/// Failing to leaves more on the disk than there should be, and nothing else.
void try_to_remove(const fs::path& path) {
  try {
    remove_tree(path);
  } catch (const Error& error) {
    log_warn("train", "an old checkpoint stays: ", error.what());
  }
}

/// Of every member beside state.json, by its path in the folder.
Hashes hashes_of(const fs::path& folder) {
  Hashes hashes;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    const std::string name = entry.path().lexically_relative(folder).generic_string();
    if (entry.is_regular_file() && name != kState) hashes[name] = sha256_file(entry.path());
  }
  return hashes;
}

void check_members(const fs::path& folder, const Hashes& expected) {
  Hashes found = hashes_of(folder);
  for (const auto& [name, hash] : expected) {
    if (found[name] == hash) continue;
    throw Error(ExitCode::file, cat("\"", (folder / name).string(), "\": sha256 ", found[name].substr(0, 12),
                                    ", state.json says ", printable(hash.substr(0, 12))));
  }
}

TrainingState read_checkpoint(const fs::path& folder) {
  const JsonOrigin origin{(folder / kState).string(), ExitCode::file};
  const Json state = parse_json(read_file(folder / kState, kMostStateBytes), origin);
  const Json& record = json_at(state, kRecord, origin);
  if (sha256(record.dump()) != json_string(json_at(state, kHash, origin), kHash, origin))
    throw Error(ExitCode::file, cat("\"", origin.place, "\": the record is not the one that was written"));
  Hashes members;
  for (const auto& [name, hash] : json_at(record, kMembers, origin).items())
    members[name] = json_string(hash, name, origin);
  check_members(folder, members);
  return {json_int(json_at(record, kStep, origin), kStep, origin),
          read_safetensors(folder / kTensors).tensors, json_at(record, kProgress, origin).dump()};
}

}  // namespace

CheckpointStore::CheckpointStore(fs::path run, std::int64_t keep)
    : folder_(std::move(run) / "checkpoints"), keep_(keep) {}

bool CheckpointStore::empty() const { return checkpoints_in(folder_).empty(); }

void CheckpointStore::clear() const { try_to_remove(folder_); }

void CheckpointStore::write(const TrainingState& state,
                            const std::function<void(const fs::path&)>& write_adapter) const {
  make_folders(folder_);
  remove_unfinished(folder_);
  PendingFolder draft(folder_ / name_of(state.step));
  const std::string bytes = serialize_safetensors({state.tensors, {}});
  const std::string hash = sha256(bytes);
  draft.write(kTensors, bytes);
  if (sha256_file(draft.path() / kTensors) != hash)
    throw Error(
        ExitCode::io,
        cat("\"", (folder_ / name_of(state.step) / kTensors).string(), "\" does not read as it was written"),
        "the disk may be failing");
  write_adapter(draft.path());
  const Json record = {
      {kStep, state.step}, {kMembers, hashes_of(draft.path())}, {kProgress, Json::parse(state.progress)}};
  draft.write(kState, Json({{kRecord, record}, {kHash, sha256(record.dump())}}).dump() + "\n");
  draft.accept();
  // Later ones were damaged, or the run would have gone on from them.
  std::int64_t remaining = -1;
  for (const fs::path& each : checkpoints_in(folder_)) {
    if (each == folder_ / name_of(state.step)) remaining = keep_;
    if (remaining-- <= 0) try_to_remove(each);
  }
}

std::optional<TrainingState> CheckpointStore::read_newest(void (*check)(const TrainingState&)) const {
  for (const fs::path& folder : checkpoints_in(folder_)) {
    try {
      TrainingState state = read_checkpoint(folder);
      if (check) check(state);
      return state;
    } catch (const std::exception& error) {
      log_warn("train", "checkpoint ", folder.filename().string(), " is not used: ", error.what());
    }
  }
  return std::nullopt;
}

}  // namespace lora
