#pragma once

#include <torch/csrc/jit/ir/ir.h>
#include <torch/custom_class.h>

#include <vector>

#include "lora/model/program.h"
#include "model/uses.h"

namespace lora {

/// The hooks of one Executable, handed to its graph as an input.
struct HookTable : torch::CustomClassHolder {
  explicit HookTable(std::vector<SiteHook> all) : hooks(std::move(all)) {}
  std::vector<SiteHook> hooks;
};

/// Inserts `lora::hook(table, index, output, input, weight, bias)` behind a use and lets everything after it
/// read the hook's result; `output` is none if the hook computes the site. mismatch error if something writes in place to the use's input or output.
void insert_hook(const SiteUse& use, torch::jit::Value* weight, std::int64_t index, torch::jit::Value* table,
                 bool computes_site);

}  // namespace lora
