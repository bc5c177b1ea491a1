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
  explicit HookTable(std::vector<SiteHook> all, std::shared_ptr<NarrowWeights> weights = nullptr)
      : hooks(std::move(all)), narrow(std::move(weights)) {}
  std::vector<SiteHook> hooks;
  std::shared_ptr<NarrowWeights> narrow;  ///< null: products in the weights' own type
};

/// Inserts `lora::hook(table, index, output, input, weight, bias)` behind a use and lets everything after it
/// read the hook's result; `output` is none if the hook computes the site. mismatch error if something writes
/// in place to the use's input or output.
void insert_hook(const SiteUse& use, torch::jit::Value* weight, std::int64_t index, torch::jit::Value* table,
                 bool computes_site);

}  // namespace lora
