#include "lora/checkpoint/training_state.h"

#include <algorithm>
#include <cstdio>
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
  for (const fs::path& each : left) fs::remove_all(each, none);
}

TrainingState read_checkpoint(const fs::path& folder) {
  const JsonOrigin origin{(folder / kState).string(), ExitCode::file};
  const Json state = parse_json(read_file(folder / kState, 1 << 20), origin);
  const fs::path file = folder / kTensors;
  const std::string expected = state.at("sha256").at(kTensors).get<std::string>(), found = sha256_file(file);
  if (expected != found)
    throw Error(ExitCode::file, cat("\"", file.string(), "\": sha256 ", found.substr(0, 12),
                                    ", state.json says ", expected.substr(0, 12)));
  return {state.at("step").get<std::int64_t>(), read_safetensors(file).tensors, state.at("progress").dump()};
}

}  // namespace

CheckpointStore::CheckpointStore(fs::path run, std::int64_t keep)
    : folder_(std::move(run) / "checkpoints"), keep_(keep) {}

bool CheckpointStore::empty() const { return checkpoints_in(folder_).empty(); }

void CheckpointStore::clear() const {
  std::error_code none;
  fs::remove_all(folder_, none);
}

void CheckpointStore::write(const TrainingState& state,
                            const std::function<void(const fs::path&)>& write_adapter) const {
  ensure_writable_folder(folder_);
  remove_unfinished(folder_);
  const fs::path target = folder_ / name_of(state.step), draft = folder_ / ("." + name_of(state.step));
  ensure_writable_folder(draft);
  const std::string bytes = serialize_safetensors({state.tensors, {}});
  const std::string hash = sha256(bytes);
  write_file_atomically(draft / kTensors, bytes);
  if (sha256_file(draft / kTensors) != hash)
    throw Error(ExitCode::io, cat("\"", (draft / kTensors).string(), "\" does not read as it was written"),
                "the disk may be failing");
  write_adapter(draft);
  const Json record = {
      {"step", state.step}, {"sha256", {{kTensors, hash}}}, {"progress", Json::parse(state.progress)}};
  write_file_atomically(draft / kState, record.dump(2) + "\n");
  publish_folder(draft, target);
  const std::vector<fs::path> all = checkpoints_in(folder_);
  for (std::size_t i = static_cast<std::size_t>(keep_); i < all.size(); ++i) {
    std::error_code none;
    fs::remove_all(all[i], none);
  }
}

std::optional<TrainingState> CheckpointStore::read_newest() const {
  for (const fs::path& folder : checkpoints_in(folder_)) {
    try {
      return read_checkpoint(folder);
    } catch (const std::exception& error) {
      log_warn("train", "checkpoint ", folder.filename().string(), " is not used: ", error.what());
    }
  }
  return std::nullopt;
}

}  // namespace lora
