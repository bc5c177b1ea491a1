#pragma once

#include <torch/csrc/jit/ir/ir.h>

#include <string_view>
#include <unordered_set>

namespace lora {

/// Name of the graph input that stands for what lies below the boundary.
inline constexpr std::string_view kBoundaryInput = "boundary";

/// The last activation that is alone alive (value_kinds.h) before the first of the `trained` nodes: all that
/// training can see of the layers below it. Null if nothing is trained, if no product lies below, or if what
/// lies above would need products of below for another reason. `weights` as in ValueKinds.
torch::jit::Value* find_boundary(torch::jit::Graph& graph,
                                 const std::unordered_set<const torch::jit::Value*>& weights,
                                 const std::unordered_set<const torch::jit::Node*>& trained);

}  // namespace lora
