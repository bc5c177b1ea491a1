#include "lora/kernels/gated.h"

#include "model/rewrites/pattern.h"
#include "model/rewrites/rewrite.h"

namespace lora {
namespace {

using torch::jit::Node;
using torch::jit::Value;

void run(torch::jit::Stack& stack) {
  const at::Tensor up = torch::jit::pop(stack).toTensor(), gate = torch::jit::pop(stack).toTensor();
  const auto act = static_cast<Gate>(torch::jit::pop(stack).toInt());
  torch::jit::push(stack, gated(act, gate, up));
}

c10::Symbol symbol() {
  static const c10::Symbol operation =
      register_operation("lora::gated(int act, Tensor gate, Tensor up) -> Tensor", run);
  return operation;
}

std::optional<Gate> gate_of(const Node* node) {
  if (std::string_view(node->kind().toQualString()) == "aten::silu") return Gate::silu;
  const auto form = torch::jit::constant_as<c10::string_view>(node->inputs()[1]);
  return form && *form == "tanh" ? std::optional(Gate::gelu_tanh) : std::nullopt;
}

bool rewrite_one(Node* activation) {
  const auto act = gate_of(activation);
  Node* product = act ? only_user(activation->output(), {"aten::mul"}) : nullptr;
  if (!product) return false;
  Value* up = other_operand(product, activation->output());
  if (!up->type()->isSubtypeOf(*c10::TensorType::get()) || constant_number(up)) return false;
  torch::jit::WithInsertPoint guard(product);
  Value* which = product->owningGraph()->insertConstant(static_cast<std::int64_t>(*act));
  Node* fused = insert_before(product, symbol(), {which, activation->input(0), up});
  product->output()->replaceAllUsesWith(fused->output());
  return true;
}

}  // namespace

int rewrite_gated(torch::jit::Graph& graph) {
  int count = 0;
  for (const char* kind : {"aten::silu", "aten::gelu"})
    for (Node* node : nodes_of_kind(graph, kind)) count += rewrite_one(node);
  return count;
}

}  // namespace lora
