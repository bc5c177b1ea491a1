#pragma once

#include <torch/csrc/jit/ir/ir.h>

#include <string>
#include <vector>

namespace lora {

/// A pattern of operations that one operation of our own computes faster and with less memory. Patterns are
/// matched loosely, by data flow: Program compares the rewritten graph's logits with the plain one's before
/// it is used.
struct Rewrite {
  std::string name;
  int (*apply)(torch::jit::Graph& graph);  ///< replaces all it finds; returns how many
};

const std::vector<Rewrite>& all_rewrites();

int rewrite_attention(torch::jit::Graph& graph);
int rewrite_gated(torch::jit::Graph& graph);
int rewrite_rms_norm(torch::jit::Graph& graph);
int rewrite_rotary(torch::jit::Graph& graph);

}  // namespace lora
