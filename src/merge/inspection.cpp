#include "merge/inspection.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <cmath>

#include "checkpoint/peft_keys.h"
#include "merge/module_update.h"

namespace lora {
namespace {

/// |B A| without the product: |B A|^2 = sum over i, j of (B^T B)_ij (A A^T)_ij.
double product_norm(const at::Tensor& A, const at::Tensor& B) {
  const at::Tensor a = A.to(at::kDouble), b = B.to(at::kDouble);
  const double square = (at::mm(b.t(), b) * at::mm(a, a.t())).sum().item<double>();
  return square < 0 ? 0 : std::sqrt(square);  // rounding may take a zero below zero
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
    facts.update_norm = std::abs(facts.scale) * product_norm(update.A, update.B);
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
