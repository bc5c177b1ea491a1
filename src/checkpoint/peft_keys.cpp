#include "checkpoint/peft_keys.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <string_view>

#include "lora/base/error.h"
#include "lora/base/text.h"

namespace lora {
namespace {

constexpr std::string_view kFactorLeaves[] = {
    "lora_A.weight",        "lora_B.weight",        "lora_embedding_A",
    "lora_embedding_B",     kMagnitudeLeaf,         "bottleneck_down.weight",
    "bottleneck_down.bias", "bottleneck_up.weight", "bottleneck_up.bias"};
constexpr std::string_view kEmbeddingCopy = ".base_layer.weight", kAdaptedBias = ".base_layer.bias",
                           kTokenRows = ".token_adapter.trainable_tokens_delta",
                           kLoneTokenRows = ".trainable_tokens_delta";
/// Pieces of keys that belong to features that are no module's own.
constexpr std::string_view kForeignPieces[] = {".lora_", ".base_layer.", ".token_adapter.",
                                               ".modules_to_save."};
/// Longer paths exist in no model, and regular expressions are matched by recursion.
constexpr std::size_t kLongestKey = 512;

class KeySorter {
 public:
  explicit KeySorter(const std::string& place) : place_(place) {}

  PeftTensors run(const std::map<std::string, at::Tensor>& tensors) {
    for (const auto& [key, tensor] : tensors) {
      if (!is_duplicate(key, tensor, tensors)) take(key, tensor);
    }
    if (!unknown_.empty()) {
      throw Error(
          ExitCode::file,
          cat(place_, ": ", unknown_.size(), " of ", tensors.size(), " tensors are of no kind known here\n",
              join(unknown_, "\n")),
          cat("expected ", kPeftPrefix,
              "MODULE.lora_A.weight and the like: low-rank factors, or parameters of ", "modules_to_save"));
    }
    return std::move(sorted_);
  }

 private:
  /// With "bias": "all" PEFT also stores a saved module's bias under the names of its wrapper: the trained
  /// one again, and the frozen one that it replaces.
  static bool is_duplicate(const std::string& key, const at::Tensor& tensor,
                           const std::map<std::string, at::Tensor>& tensors) {
    for (const std::string_view inner : {".modules_to_save.bias", ".original_module.bias"}) {
      if (!key.ends_with(inner)) continue;
      const auto trained = tensors.find(key.substr(0, key.size() - inner.size()) + ".bias");
      return trained != tensors.end() &&
             (inner.starts_with(".original") || at::equal(trained->second, tensor));
    }
    return false;
  }

  void take(const std::string& key, const at::Tensor& tensor) {
    if (!key.starts_with(kPeftPrefix) || key.size() > kLongestKey) return reject(key);
    const std::string path = key.substr(std::string_view(kPeftPrefix).size());
    for (const std::string_view leaf : kFactorLeaves) {
      if (path.size() <= leaf.size() + 1 || !path.ends_with(cat(".", leaf))) continue;
      sorted_.modules[path.substr(0, path.size() - leaf.size() - 1)][std::string(leaf)] = tensor;
      return;
    }
    if (path.ends_with(kEmbeddingCopy)) {
      sorted_.embedding_copies[path.substr(0, path.size() - kEmbeddingCopy.size())] = tensor;
      return;
    }
    if (path.ends_with(kAdaptedBias)) {
      sorted_.whole[path.substr(0, path.size() - kAdaptedBias.size()) + ".bias"] = tensor;
      return;
    }
    for (const std::string_view rows : {kTokenRows, kLoneTokenRows}) {
      if (!path.ends_with(rows)) continue;
      sorted_.token_rows[path.substr(0, path.size() - rows.size())] = tensor;
      return;
    }
    const bool foreign =
        std::any_of(std::begin(kForeignPieces), std::end(kForeignPieces),
                    [&](std::string_view piece) { return path.find(piece) != std::string::npos; });
    if (foreign || path.empty()) return reject(key);
    sorted_.whole[path] = tensor;
  }

  void reject(const std::string& key) {
    unknown_.push_back(cat("  ", printable(key.substr(0, kLongestKey))));
  }

  const std::string& place_;
  PeftTensors sorted_;
  std::vector<std::string> unknown_;
};

/// The same for a bottleneck adapter.
std::string bottleneck_defect(const SiteTensors& tensors, const MethodConfig& config) {
  if (tensors.size() != 4 || !tensors.count("bottleneck_down.weight") ||
      !tensors.count("bottleneck_up.weight"))
    return "needs bottleneck_down and bottleneck_up, each with weight and bias, and nothing else";
  const at::Tensor &down = tensors.at("bottleneck_down.weight"), &up = tensors.at("bottleneck_up.weight");
  const bool fits = down.is_floating_point() && up.is_floating_point() && down.dim() == 2 && up.dim() == 2 &&
                    down.size(0) == config.rank && up.size(1) == config.rank && down.size(1) == up.size(0);
  if (fits) return {};
  return cat("has down [", join(down.sizes(), ", "), "] and up [", join(up.sizes(), ", "), "]; r ",
             config.rank, " of adapter_config.json needs [", config.rank, ", out] and [out, ", config.rank,
             "]");
}

/// What is wrong with a module's factors; empty if nothing.
std::string defect(const SiteTensors& tensors, const MethodConfig& config) {
  if (config.method == "bottleneck") return bottleneck_defect(tensors, config);
  const std::int64_t rank = config.rank;
  const bool linear = tensors.count("lora_A.weight") && tensors.count("lora_B.weight");
  const bool embedding = tensors.count("lora_embedding_A") && tensors.count("lora_embedding_B");
  const bool magnitude = tensors.count(kMagnitudeLeaf) > 0, dora = config.method == "dora";
  if (tensors.size() != (dora ? 3 : 2) || linear == embedding || magnitude != dora) {
    std::vector<std::string> names;
    for (const auto& [leaf, tensor] : tensors) names.push_back(leaf);
    return cat("has ", join(names, ", "), "; it needs A and B", dora ? cat(", ", kMagnitudeLeaf) : "",
               " and nothing else");
  }
  const auto [A, B] = factors_of(tensors);
  if (!A.is_floating_point() || !B.is_floating_point())
    return "has factors that are no floating-point numbers";
  if (A.dim() != 2 || B.dim() != 2 || A.size(0) != rank || B.size(1) != rank) {
    return cat("has A [", join(A.sizes(), ", "), "] and B [", join(B.sizes(), ", "), "]; rank ", rank,
               " of adapter_config.json needs A [", rank, ", in] and B [out, ", rank, "]");
  }
  if (!dora) return {};
  const at::Tensor& m = tensors.at(kMagnitudeLeaf);
  if (m.is_floating_point() && m.sizes() == at::IntArrayRef({B.size(0)})) return {};
  return cat("has ", kMagnitudeLeaf, " [", join(m.sizes(), ", "), "] of ", m.dtype().name(),
             "; it needs a floating-point number for each of B's ", B.size(0), " rows");
}

/// What is wrong with the trained rows of an embedding; empty if nothing.
std::string row_defect(const at::Tensor& values, const std::vector<std::int64_t>* ids) {
  if (!ids) return "has trained rows that trainable_token_indices does not name";
  if (!values.is_floating_point() || values.dim() != 2 ||
      values.size(0) != static_cast<std::int64_t>(ids->size()))
    return cat("has rows [", join(values.sizes(), ", "), "]; trainable_token_indices names ", ids->size());
  std::vector<std::int64_t> sorted = *ids;
  std::sort(sorted.begin(), sorted.end());
  if (sorted.empty() || sorted.front() < 0 ||
      std::adjacent_find(sorted.begin(), sorted.end()) != sorted.end())
    return "has no rows, or rows with negative or repeated numbers in trainable_token_indices";
  return {};
}

}  // namespace

PeftTensors split_keys(const std::map<std::string, at::Tensor>& tensors, const std::string& place) {
  return KeySorter(place).run(tensors);
}

std::string factor_key(const std::string& module, const std::string& leaf) {
  return cat(kPeftPrefix, module, ".", leaf);
}

std::string whole_key(const std::string& parameter) { return kPeftPrefix + parameter; }

std::string adapted_bias_key(const std::string& module) { return cat(kPeftPrefix, module, kAdaptedBias); }

std::string token_rows_key(const std::string& module, bool alone) {
  return cat(kPeftPrefix, module, alone ? kLoneTokenRows : kTokenRows);
}

void check_factors(const PeftTensors& tensors, const PeftConfig& config, const std::string& place) {
  std::vector<std::string> defects;
  for (const auto& [module, factors] : tensors.modules) {
    const std::string found = defect(factors, config.of(module));
    if (!found.empty()) defects.push_back(cat("  ", printable(module), " ", found));
  }
  for (const auto& [module, values] : tensors.token_rows) {
    const std::string found = row_defect(values, config.token_ids(module));
    if (!found.empty()) defects.push_back(cat("  ", printable(module), " ", found));
  }
  if (tensors.token_rows.size() < config.token_indices.size())
    defects.push_back("  an embedding of trainable_token_indices has no tensor");
  if (defects.empty()) return;
  throw Error(ExitCode::file,
              cat(place, ": ", defects.size(), " of ", tensors.modules.size() + tensors.token_rows.size(),
                  " modules disagree with adapter_config.json\n", join(defects, "\n")),
              "adapter_config.json and adapter_model.safetensors must come from one training");
}

Factors factors_of(const SiteTensors& tensors) {
  const bool embedding = tensors.count("lora_embedding_A") > 0;
  return {tensors.at(embedding ? "lora_embedding_A" : "lora_A.weight"),
          tensors.at(embedding ? "lora_embedding_B" : "lora_B.weight")};
}

}  // namespace lora
