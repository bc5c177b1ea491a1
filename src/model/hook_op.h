#pragma once

#include <torch/csrc/jit/ir/ir.h>
#include <torch/custom_class.h>

#include <memory>
#include <vector>

#include "lora/model/program.h"
#include "model/narrow_op.h"
#include "model/uses.h"

namespace lora {

/// The hooks of one Executable, handed to its graph as an input.
struct HookTable : torch::CustomClassHolder {
  explicit HookTable(std::vector<HookedSite> all = {}, std::shared_ptr<NarrowWeights> weights = nullptr)
      : sites(std::move(all)), narrow(std::move(weights)) {}
  std::vector<HookedSite> sites;
  std::shared_ptr<NarrowWeights> narrow;  ///< null: products in the weights' own type
};

/// Inserts `lora::hook(table, index, output, input, weight, bias)` behind a use and lets everything after it
/// read the hook's result; `output` is none if the hook computes the site. mismatch error if something writes
/// in place to the use's input or output.
void insert_hook(const SiteUse& use, torch::jit::Value* weight, std::int64_t index, torch::jit::Value* table,
                 bool computes_site);

/// Number `index` of a HookTable.
const HookedSite& hooked_site(const c10::IValue& table, std::int64_t index);

at::Tensor tensor_or_none(const c10::IValue& value);

/// True for nodes that may run hooks.
bool runs_hooks(const torch::jit::Node* node);

}  // namespace lora
