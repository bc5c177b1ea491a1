#pragma once

#include <string>
#include <vector>

#include "lora/adapter/adapter.h"
#include "lora/checkpoint/adapter_folder.h"

namespace lora {

/// The adapter of one module as PEFT knows it, which has no slices of fused projections.
struct PeftModule {
  const Site* site;
  MethodConfig config;
  SiteTensors tensors;
  std::vector<RankBlock> blocks;  ///< how slices share the rank; empty for a plain target
};

/// Modules in the order of the targets. Targets of one fused projection become one module: for k blocks
/// A = [A1; A2 ...] of rank r1 + r2 + ..., B has block i in its columns i and in the slice's rows, zero
/// elsewhere, and alpha is such that the scale stays. DoRA's magnitude is that of the base outside the
/// slices. internal error if their scales differ.
std::vector<PeftModule> peft_modules(const Program& program, const Adapter& adapter);

/// The targets that `module` was made of. file error if the blocks do not describe the tensors or name slices
/// that the site does not have.
std::vector<AdaptedTarget> targets_of(const PeftModule& module);

}  // namespace lora
