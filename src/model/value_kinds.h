#pragma once

#include <torch/csrc/jit/ir/ir.h>

#include <cstddef>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace lora {

enum class ValueKind {
  constant,
  weight,      ///< follows from weights alone
  plain,       ///< what no gradient goes through: from data alone, or no tensor
  activation,  ///< a tensor that follows from data and weights
};

/// What the values of a graph follow from. `weights`: inputs that are parameters or hook tables; others are
/// data.
class ValueKinds {
 public:
  ValueKinds(const torch::jit::Graph& graph, const std::unordered_set<const torch::jit::Value*>& weights);

  ValueKind operator[](const torch::jit::Value* value) const { return kinds_.at(value); }
  /// Whether an output of the node is of this kind.
  bool is(const torch::jit::Node* node, ValueKind kind) const;

 private:
  ValueKind kind_of(const torch::jit::Node* node, const torch::jit::Value* output) const;

  std::unordered_map<const torch::jit::Value*, ValueKind> kinds_;
};

/// A place where a single activation is alive: all that goes on from there of what the nodes before it
/// compute, but for plain values.
struct ActivationCut {
  std::size_t nodes;  ///< number of the graph's nodes before it
  const torch::jit::Value* activation;
};

/// In graph order, at most one for an activation.
std::vector<ActivationCut> single_activations(const torch::jit::Graph& graph, const ValueKinds& kinds);

}  // namespace lora
