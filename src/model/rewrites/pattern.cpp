#include "model/rewrites/pattern.h"

#include "model/uses.h"

namespace lora {

using torch::jit::Graph;
using torch::jit::Node;
using torch::jit::Value;

Node* made_by(const Value* value, std::initializer_list<std::string_view> kinds) {
  Node* node = const_cast<Value*>(value)->node();
  return is_any(node, kinds) ? node : nullptr;
}

Value* before_casts(Value* value) {
  while (Node* cast = made_by(value, {"aten::to", "aten::type_as", "aten::float"})) value = cast->input(0);
  return value;
}

Node* only_user(const Value* value, std::initializer_list<std::string_view> kinds) {
  if (value->uses().size() != 1) return nullptr;
  Node* user = value->uses().front().user;
  return is_any(user, kinds) ? user : nullptr;
}

Value* other_operand(const Node* node, const Value* value) {
  auto* inputs = const_cast<Node*>(node);
  return inputs->input(0) == value ? inputs->input(1) : inputs->input(0);
}

std::optional<double> constant_number(const Value* value) {
  const auto constant = torch::jit::toIValue(value);
  if (!constant) return std::nullopt;
  if (constant->isDouble()) return constant->toDouble();
  if (constant->isInt()) return static_cast<double>(constant->toInt());
  if (constant->isTensor() && constant->toTensor().numel() == 1) return constant->toTensor().item<double>();
  return std::nullopt;
}

std::vector<Value*> list_elements(const Value* list) {
  Node* node = made_by(list, {"prim::ListConstruct"});
  if (!node) return {};
  return {node->inputs().begin(), node->inputs().end()};
}

std::vector<Node*> nodes_of_kind(Graph& graph, std::string_view kind) {
  std::vector<Node*> found;
  for (Node* node : graph.nodes()) {
    if (is_any(node, {kind})) found.push_back(node);
  }
  return found;
}

c10::Symbol register_operation(const char* schema, torch::jit::Operation operation) {
  const std::string text = schema;
  torch::jit::registerOperator(
      torch::jit::Operator(text, std::move(operation), c10::AliasAnalysisKind::FROM_SCHEMA));
  return c10::Symbol::fromQualString(text.substr(0, text.find('(')));
}

Node* insert_before(Node* place, c10::Symbol symbol, const std::vector<Value*>& inputs) {
  Node* node = place->owningGraph()->create(symbol, inputs);
  node->output()->setType(c10::TensorType::get());
  node->insertBefore(place);
  return node;
}

}  // namespace lora
