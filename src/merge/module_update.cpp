#include "merge/module_update.h"

#include "checkpoint/peft_keys.h"

namespace lora {

std::vector<ModuleUpdate> module_updates(const AdapterFolder& folder) {
  std::vector<ModuleUpdate> updates;
  for (const auto& [module, tensors] : split_keys(folder.tensors, folder.path.string()).modules) {
    const auto [A, B] = factors_of(tensors);
    updates.push_back({module, folder.config.of(module), tensors.count("lora_embedding_A") > 0, A, B});
  }
  return updates;
}

}  // namespace lora
