#include "model/tracer.h"

#include <torch/csrc/jit/ir/constants.h>

#include <optional>

namespace lora {

using torch::jit::Node;

namespace {

/// The few nodes that the interpreter runs as instructions of its own and not as operators.
std::optional<std::vector<c10::IValue>> run_instruction(const Node* node,
                                                        const std::vector<c10::IValue>& inputs) {
  if (node->kind() == c10::prim::ListConstruct) {
    c10::impl::GenericList list(node->output()->type()->expectRef<c10::ListType>().getElementType());
    for (const c10::IValue& input : inputs) list.push_back(input);
    return {{list}};
  }
  if (node->kind() == c10::prim::DictConstruct) {
    const auto& type = node->output()->type()->expectRef<c10::DictType>();
    c10::impl::GenericDict dict(type.getKeyType(), type.getValueType());
    for (std::size_t i = 0; i + 1 < inputs.size(); i += 2) dict.insert(inputs[i], inputs[i + 1]);
    return {{dict}};
  }
  if (node->kind() == c10::prim::TupleConstruct) return {{c10::ivalue::Tuple::create(inputs)}};
  if (node->kind() == c10::prim::TupleUnpack) return inputs[0].toTupleRef().elements().vec();
  if (node->kind() == c10::prim::ListUnpack) {
    const auto list = inputs[0].toList();
    return std::vector<c10::IValue>(list.begin(), list.end());
  }
  return std::nullopt;
}

}  // namespace

std::vector<c10::IValue> run_node(const Node* node, std::vector<c10::IValue> inputs) {
  if (node->kind() == c10::prim::Constant) return {*torch::jit::toIValue(node->output())};
  if (auto outputs = run_instruction(node, inputs)) return std::move(*outputs);
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
