#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "lora/checkpoint/safetensors.h"

namespace lora {

/// A model as transformers saves it: config.json, and model.safetensors or model-*-of-*.safetensors with
/// their index.
class HfFolder {
 public:
  /// Maps all shards. file error if it is no such folder, a shard of the index is missing, or tensors are
  /// listed twice.
  explicit HfFolder(const std::filesystem::path& path);

  const std::filesystem::path& path() const { return path_; }
  /// In the order of their names.
  const std::vector<std::unique_ptr<MappedSafetensors>>& shards() const { return shards_; }
  std::vector<std::string> names() const;
  bool has(const std::string& name) const { return places_.count(name) > 0; }
  /// A view of the mapping.
  at::Tensor tensor(const std::string& name) const;
  const SafetensorsEntry& entry(const std::string& name) const { return *places_.at(name).second; }

  /// Files beside the weights: configuration, tokenizer, card, index.
  std::vector<std::filesystem::path> other_files() const;

 private:
  std::vector<std::filesystem::path> shard_paths() const;

  std::filesystem::path path_;
  std::vector<std::unique_ptr<MappedSafetensors>> shards_;
  std::map<std::string, std::pair<const MappedSafetensors*, const SafetensorsEntry*>> places_;
};

/// True if there is a config.json and at least one safetensors file.
bool is_hf_folder(const std::filesystem::path& path);

}  // namespace lora
