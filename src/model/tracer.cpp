#include "model/tracer.h"

#include <torch/csrc/jit/ir/constants.h>

namespace lora {

using torch::jit::Node;

std::vector<c10::IValue> run_node(const Node* node, std::vector<c10::IValue> inputs) {
  if (node->kind() == c10::prim::Constant) return {*torch::jit::toIValue(node->output())};
  torch::jit::Stack stack = std::move(inputs);
  node->getOperation()(stack);
  return {stack.end() - static_cast<std::ptrdiff_t>(node->outputs().size()), stack.end()};
}

RecordedValues record_run(const torch::jit::Graph& graph, std::vector<c10::IValue> inputs) {
  RecordedValues values;
  for (const Node* node : graph.nodes()) {
    if (!node->blocks().empty()) return {};
  }
  for (std::size_t i = 0; i < inputs.size(); ++i) values[graph.inputs()[i]] = std::move(inputs[i]);
  for (const Node* node : graph.nodes()) {
    std::vector<c10::IValue> arguments;
    for (const torch::jit::Value* input : node->inputs()) arguments.push_back(values.at(input));
    const auto outputs = run_node(node, std::move(arguments));
    for (std::size_t i = 0; i < outputs.size(); ++i) values[node->outputs()[i]] = outputs[i];
  }
  return values;
}

}  // namespace lora
