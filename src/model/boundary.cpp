#include "model/boundary.h"

#include <algorithm>
#include <optional>
#include <vector>

#include "model/uses.h"
#include "model/value_kinds.h"

namespace lora {
namespace {

using torch::jit::Graph;
using torch::jit::Node;
using torch::jit::Value;

bool is_product(const Node* node) {
  return is_any(node, {"aten::linear", "aten::addmm", "aten::matmul", "aten::mm", "aten::bmm",
                       "aten::scaled_dot_product_attention", "aten::_convolution", "aten::conv1d"});
}

/// The graph's nodes in order, and what its output needs of them once `known` is given.
class NeededNodes {
 public:
  NeededNodes(const Graph& graph, const Value* known) : known_(known) {
    for (const Value* output : graph.outputs()) add(output);
  }

  bool operator[](const Node* node) const { return needed_.count(node) > 0; }

 private:
  void add(const Value* value) {
    std::vector<const Value*> waiting = {value};
    while (!waiting.empty()) {
      const Value* next = waiting.back();
      waiting.pop_back();
      if (next == known_ || !needed_.insert(next->node()).second) continue;
      waiting.insert(waiting.end(), next->node()->inputs().begin(), next->node()->inputs().end());
    }
  }

  const Value* known_;
  std::unordered_set<const Node*> needed_;
};

}  // namespace

Value* find_boundary(Graph& graph, const std::unordered_set<const Value*>& weights,
                     const std::unordered_set<const Node*>& trained) {
  const std::vector<const Node*> nodes(graph.nodes().begin(), graph.nodes().end());
  if (std::any_of(nodes.begin(), nodes.end(), [](const Node* node) { return !node->blocks().empty(); }))
    return nullptr;
  const auto first =
      std::find_if(nodes.begin(), nodes.end(), [&](const Node* node) { return trained.count(node) > 0; });
  if (first == nodes.end()) return nullptr;
  const auto below = static_cast<std::size_t>(first - nodes.begin());
  std::optional<ActivationCut> last;
  for (const ActivationCut& cut : single_activations(graph, ValueKinds(graph, weights)))
    if (cut.nodes <= below) last = cut;
  if (!last) return nullptr;
  const NeededNodes needed(graph, last->activation);
  bool products = false, needed_products = false;
  for (std::size_t i = 0; i < last->nodes; ++i) {
    products |= is_product(nodes[i]);
    needed_products |= is_product(nodes[i]) && needed[nodes[i]];
  }
  return products && !needed_products ? const_cast<Value*>(last->activation) : nullptr;
}

}  // namespace lora
