#include "merge/inspection.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <cmath>
#include <limits>

#include "checkpoint/peft_keys.h"
#include "lora/kernels/low_rank.h"
#include "merge/module_update.h"
#include "merge/subspace.h"

namespace lora {
namespace {

void measure(const ModuleUpdate& update, ModuleFacts& facts) {
  const at::Tensor A = update.A.to(at::kDouble), B = update.B.to(at::kDouble);
  facts.update_norm = facts.effective_rank = std::numeric_limits<double>::quiet_NaN();
  if (!at::isfinite(A).all().item<bool>() || !at::isfinite(B).all().item<bool>()) return;
  const at::Tensor S = svd_of_product(B, A).S;
  facts.update_norm = std::abs(facts.scale) * S.norm().item<double>();
  facts.effective_rank = effective_rank(S);
}

std::vector<ModuleFacts> module_facts(const AdapterFolder& folder) {
  const at::NoGradGuard no_grad;
  std::vector<ModuleFacts> all;
  for (const ModuleUpdate& update : module_updates(folder)) {
    ModuleFacts facts;
    facts.module = update.module;
    facts.rank = update.config.rank;
    facts.in = update.in();
    facts.out = update.out();
    facts.alpha = update.config.alpha;
    facts.scale = update.scale();
    facts.parameters = update.A.numel() + update.B.numel();
    measure(update, facts);
    if (const auto blocks = folder.blocks.find(update.module); blocks != folder.blocks.end()) {
      for (const RankBlock& block : blocks->second) facts.slices.push_back(block.slice);
    }
    all.push_back(std::move(facts));
  }
  return all;
}

}  // namespace

Inspection look_at(const AdapterFolder& folder) {
  const PeftTensors tensors = split_keys(folder.tensors, folder.path.string());
  Inspection found{folder, module_facts(folder), {}, 0, {}, {}};
  for (const auto& [path, value] : tensors.whole) {
    found.whole[path] = value.sizes().vec();
    found.parameters += value.numel();
  }
  for (const auto& [module, values] : tensors.token_rows) {
    found.whole[module + " (token rows)"] = values.sizes().vec();
    // Alone, every module that is tied to the embedding has the same rows.
    if (!folder.config.tokens_alone || module == tensors.token_rows.begin()->first)
      found.parameters += values.numel();
  }
  for (const auto& [module, leaves] : tensors.modules) {
    const auto magnitude = leaves.find(kMagnitudeLeaf);
    if (magnitude != leaves.end()) found.parameters += magnitude->second.numel();
  }
  for (const ModuleFacts& facts : found.modules) {
    found.parameters += facts.parameters;
    if (facts.update_norm == 0) found.without_update.push_back(facts.module);
  }
  for (const auto& [key, value] : folder.tensors) {
    if (!at::isfinite(value).all().item<bool>()) found.not_finite.push_back(key);
  }
  return found;
}

}  // namespace lora
