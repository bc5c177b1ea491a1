#include "merge/hf_folder.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <array>
#include <set>

#include "base/json.h"
#include "lora/base/error.h"
#include "lora/base/files.h"
#include "lora/base/text.h"

namespace lora {
namespace {

namespace fs = std::filesystem;

constexpr const char *kConfig = "config.json", *kSingle = "model.safetensors",
                     *kIndex = "model.safetensors.index.json";
constexpr std::uint64_t kMostIndexBytes = 64 << 20;
/// Weights in other formats, which are not copied beside merged ones: they would be the base's.
constexpr std::array kWeightSuffixes = {".safetensors", ".bin",  ".pt",   ".pth", ".h5",
                                        ".msgpack",     ".gguf", ".onnx", ".ckpt"};

[[noreturn]] void fail(const fs::path& path, const std::string& what) {
  throw Error(ExitCode::file,
              cat("\"", path.string(), "\" is no model folder as transformers saves it: ", what),
              "it holds config.json and model.safetensors, or shards with model.safetensors.index.json");
}

}  // namespace

HfFolder::HfFolder(const fs::path& path) : path_(path) {
  if (!fs::exists(path / kConfig)) fail(path, cat("it lacks ", kConfig));
  for (const fs::path& shard : shard_paths()) {
    shards_.push_back(std::make_unique<MappedSafetensors>(shard));
    for (const SafetensorsEntry& entry : shards_.back()->entries()) {
      if (!places_.emplace(entry.name, std::pair(shards_.back().get(), &entry)).second)
        fail(path, cat("tensor \"", printable(entry.name), "\" is in two shards"));
    }
  }
}

std::vector<fs::path> HfFolder::shard_paths() const {
  if (!fs::exists(path_ / kIndex)) {
    if (!fs::exists(path_ / kSingle)) fail(path_, cat("it has neither ", kSingle, " nor ", kIndex));
    return {path_ / kSingle};
  }
  const JsonOrigin origin{(path_ / kIndex).string(), ExitCode::file};
  const Json index = parse_json(read_file(path_ / kIndex, kMostIndexBytes), origin);
  if (!index.is_object() || !index.contains("weight_map") || !index["weight_map"].is_object())
    fail(path_, cat(kIndex, " has no weight_map"));
  std::set<std::string> names;
  for (const auto& [tensor, file] : index["weight_map"].items())
    names.insert(json_string(file, tensor, origin));
  std::vector<fs::path> paths;
  for (const std::string& name : names) {
    if (fs::path(name).filename() != name || !fs::exists(path_ / name))
      fail(path_, cat(kIndex, " names the file \"", printable(name), "\", which is not there"));
    paths.push_back(path_ / name);
  }
  return paths;
}

std::vector<std::string> HfFolder::names() const {
  std::vector<std::string> names;
  for (const auto& [name, place] : places_) names.push_back(name);
  return names;
}

at::Tensor HfFolder::tensor(const std::string& name) const {
  const auto& [shard, entry] = places_.at(name);
  return shard->tensor(*entry);
}

std::vector<fs::path> HfFolder::other_files() const {
  std::vector<fs::path> files;
  for (const auto& item : fs::directory_iterator(path_)) {
    const std::string suffix = item.path().extension().string();
    const bool is_weights =
        std::find(kWeightSuffixes.begin(), kWeightSuffixes.end(), suffix) != kWeightSuffixes.end();
    if (item.is_regular_file() && !is_weights) files.push_back(item.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

bool is_hf_folder(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path / kConfig, ignored) &&
         (fs::exists(path / kSingle, ignored) || fs::exists(path / kIndex, ignored));
}

}  // namespace lora
