#include "model/value_kinds.h"

#include <algorithm>

#include "model/hook_op.h"
#include "model/uses.h"

namespace lora {

using torch::jit::Graph;
using torch::jit::Node;
using torch::jit::Value;

ValueKinds::ValueKinds(const Graph& graph, const std::unordered_set<const Value*>& weights) {
  for (const Value* input : graph.inputs())
    kinds_[input] = weights.count(input) ? ValueKind::weight : ValueKind::plain;
  for (const Node* node : graph.nodes())
    for (const Value* output : node->outputs()) kinds_[output] = kind_of(node, output);
}

bool ValueKinds::is(const Node* node, ValueKind kind) const {
  return std::any_of(node->outputs().begin(), node->outputs().end(),
                     [&](const Value* output) { return kinds_.at(output) == kind; });
}

ValueKind ValueKinds::kind_of(const Node* node, const Value* output) const {
  if (node->kind() == c10::prim::Constant) return ValueKind::constant;
  bool weight = false, plain = false, activation = runs_hooks(node);
  for (const Value* input : node->inputs()) {
    weight |= kinds_.at(input) == ValueKind::weight;
    plain |= kinds_.at(input) == ValueKind::plain;
    activation |= kinds_.at(input) == ValueKind::activation;
  }
  if (activation || (weight && plain))
    return carries_tensors(output) ? ValueKind::activation : ValueKind::plain;
  return weight ? ValueKind::weight : ValueKind::plain;
}

std::vector<ActivationCut> single_activations(const Graph& graph, const ValueKinds& kinds) {
  std::unordered_map<const Value*, std::size_t> last_use;
  std::size_t count = 0;
  for (const Node* node : graph.nodes()) {
    for (const Value* input : node->inputs()) last_use[input] = count;
    ++count;
  }
  for (const Value* output : graph.outputs()) last_use[output] = count;
  std::vector<ActivationCut> cuts;
  std::vector<const Value*> alive;
  std::size_t i = 0;
  for (const Node* node : graph.nodes()) {
    std::erase_if(alive, [&](const Value* value) { return last_use[value] <= i; });
    for (const Value* made : node->outputs())
      if (kinds[made] == ValueKind::activation && last_use.count(made)) alive.push_back(made);
    ++i;
    if (alive.size() != 1 || !alive[0]->type()->isSubtypeOf(*c10::TensorType::get())) continue;
    if (cuts.empty() || cuts.back().activation != alive[0]) cuts.push_back({i, alive[0]});
  }
  return cuts;
}

}  // namespace lora
