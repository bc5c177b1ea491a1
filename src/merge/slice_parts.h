#pragma once

#include <string>
#include <vector>

#include "merge/module_update.h"

namespace lora {

/// The columns of B and rows of A that serve one slice of a fused projection, or the whole module.
struct SlicePart {
  std::string slice;  ///< empty: the whole module
  at::Tensor A, B;    ///< [r, in], [out, r]; B is zero in the rows of other slices
};

/// The parts that a module of `folder` was written from. file error if they do not add up to its rank.
std::vector<SlicePart> parts_of(const ModuleUpdate& update, const AdapterFolder& folder);

/// `like` (module, method, kind) with the parts side by side as its factors, and with this scale.
ModuleUpdate join_parts(ModuleUpdate like, const std::vector<SlicePart>& parts, double scale);

/// What AdapterFolder::blocks says about joined parts; empty if they are one for the whole module.
std::vector<RankBlock> blocks_of(const std::vector<SlicePart>& parts);

}  // namespace lora
