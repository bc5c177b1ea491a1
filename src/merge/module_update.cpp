#include "merge/module_update.h"

#include "checkpoint/peft_config.h"
#include "checkpoint/peft_keys.h"
#include "lora/base/error.h"
#include "lora/base/text.h"

namespace lora {

std::vector<ModuleUpdate> module_updates(const AdapterFolder& folder) {
  std::vector<ModuleUpdate> updates;
  for (const auto& [module, tensors] : split_keys(folder.tensors, folder.path.string()).modules) {
    if (!find_method(folder.config.of(module).method).is_mergeable()) {
      throw Error(
          ExitCode::mismatch,
          cat("\"", folder.path.string(), "\" holds bottleneck adapters, which are no updates of weights"),
          "they cannot be merged, combined or converted: use them as they are, or train --method lora");
    }
    const auto [A, B] = factors_of(tensors);
    updates.push_back({module, folder.config.of(module), tensors.count("lora_embedding_A") > 0, A, B});
  }
  return updates;
}

AdapterFolder with_modules(AdapterFolder folder, const std::vector<ModuleUpdate>& updates) {
  std::map<std::string, at::Tensor> tensors;
  for (const auto& [name, tensor] : other_tensors(folder)) tensors[kPeftPrefix + name] = tensor;
  std::vector<std::pair<std::string, MethodConfig>> described;
  for (const ModuleUpdate& update : updates) {
    tensors[factor_key(update.module, update.embedding ? "lora_embedding_A" : "lora_A.weight")] = update.A;
    tensors[factor_key(update.module, update.embedding ? "lora_embedding_B" : "lora_B.weight")] = update.B;
    described.emplace_back(update.module, update.config);
  }
  folder.tensors = std::move(tensors);
  folder.config.rank_pattern.clear();
  folder.config.alpha_pattern.clear();
  folder.config.target_regex.clear();
  folder.config.narrowed = false;
  describe_modules(folder.config, described);
  return folder;
}

std::map<std::string, at::Tensor> other_tensors(const AdapterFolder& folder) {
  std::map<std::string, at::Tensor> others = folder.tensors;
  for (const ModuleUpdate& update : module_updates(folder)) {
    for (const char* leaf : {"lora_A.weight", "lora_B.weight", "lora_embedding_A", "lora_embedding_B"})
      others.erase(factor_key(update.module, leaf));
  }
  std::map<std::string, at::Tensor> by_name;
  for (const auto& [key, tensor] : others) by_name[key.substr(std::string_view(kPeftPrefix).size())] = tensor;
  return by_name;
}

}  // namespace lora
