#include "lora/kernels/rotary.h"

#include "model/rewrites/pattern.h"
#include "model/rewrites/rewrite.h"

namespace lora {
namespace {

using torch::jit::Node;
using torch::jit::Value;

void run(torch::jit::Stack& stack) {
  const at::Tensor sin = torch::jit::pop(stack).toTensor(), cos = torch::jit::pop(stack).toTensor();
  const at::Tensor x = torch::jit::pop(stack).toTensor();
  torch::jit::push(stack, rotary(x, cos, sin));
}

c10::Symbol symbol() {
  static const c10::Symbol operation =
      register_operation("lora::rotary(Tensor x, Tensor cos, Tensor sin) -> Tensor", run);
  return operation;
}

/// x of [-x2, x1], or null.
Value* turned(Value* value) {
  Node* joined = made_by(value, {"aten::cat"});
  const std::vector<Value*> halves = joined ? list_elements(joined->input(0)) : std::vector<Value*>();
  if (halves.size() != 2) return nullptr;
  Node* negated = made_by(halves[0], {"aten::neg"});
  Node* second = negated ? made_by(negated->input(0), {"aten::slice", "aten::narrow"}) : nullptr;
  Node* first = made_by(halves[1], {"aten::slice", "aten::narrow"});
  return first && second && first->input(0) == second->input(0) ? first->input(0) : nullptr;
}

bool rewrite_one(Node* sum) {
  Node *straight = made_by(sum->input(0), {"aten::mul"}), *crossed = made_by(sum->input(1), {"aten::mul"});
  if (!straight || !crossed) return false;
  Value* x = turned(crossed->input(0));
  if (!x || straight->input(0) != x) return false;
  Node* fused = insert_before(sum, symbol(), {x, straight->input(1), crossed->input(1)});
  sum->output()->replaceAllUsesWith(fused->output());
  return true;
}

}  // namespace

int rewrite_rotary(torch::jit::Graph& graph) {
  int count = 0;
  for (Node* node : nodes_of_kind(graph, "aten::add")) count += rewrite_one(node);
  return count;
}

}  // namespace lora
