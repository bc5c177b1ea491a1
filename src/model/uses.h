#pragma once

#include <torch/csrc/jit/ir/ir.h>

#include <string_view>
#include <vector>

#include "lora/model/site.h"

namespace lora {

/// One node that applies a weight.
struct SiteUse {
  torch::jit::Node* node;
  SiteKind kind;
  torch::jit::Value* input;  ///< the features or ids that the weight is applied to
  torch::jit::Value* bias;   ///< null if none
};

/// The linear, matmul and embedding nodes that a weight reaches through transposes, casts and the like.
std::vector<SiteUse> find_uses(torch::jit::Value* weight);

/// True for tensors and lists or tuples of them: what data flows through, unlike sizes and flags.
bool carries_tensors(const torch::jit::Value* value);

/// True if the node's kind is one of the names ("aten::view").
bool is_any(const torch::jit::Node* node, std::initializer_list<std::string_view> names);

/// The operation that writes to a tensor in place; null if none does.
const torch::jit::Node* writer_of(const torch::jit::Value* value);
bool writes_in_place(const torch::jit::Node* node);

}  // namespace lora
