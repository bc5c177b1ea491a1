#include "lora/kernels/rms_norm.h"

#include "model/rewrites/pattern.h"
#include "model/rewrites/rewrite.h"

namespace lora {
namespace {

using torch::jit::Node;
using torch::jit::Value;

void run(torch::jit::Stack& stack) {
  const double offset = torch::jit::pop(stack).toDouble(), epsilon = torch::jit::pop(stack).toDouble();
  const at::Tensor weight = torch::jit::pop(stack).toTensor(), x = torch::jit::pop(stack).toTensor();
  torch::jit::push(stack, rms_norm(x, weight, epsilon, offset));
}

c10::Symbol symbol() {
  static const c10::Symbol operation = register_operation(
      "lora::rms_norm(Tensor x, Tensor weight, float epsilon, float offset) -> Tensor", run);
  return operation;
}

/// weight, or weight + offset.
struct Factor {
  Value* weight;
  double offset;
};

Factor factor_of(Value* value) {
  if (Node* sum = made_by(value, {"aten::add"})) {
    if (const auto offset = constant_number(sum->input(1))) return {before_casts(sum->input(0)), *offset};
  }
  return {before_casts(value), 0};
}

/// x [.., d] of mean(x^2, -1): the value that is squared, or null.
Value* squared(Value* mean_input) {
  if (Node* power = made_by(mean_input, {"aten::pow"}))
    return constant_number(power->input(1)) == 2.0 ? power->input(0) : nullptr;
  if (Node* square = made_by(mean_input, {"aten::square"})) return square->input(0);
  Node* product = made_by(mean_input, {"aten::mul"});
  return product && product->input(0) == product->input(1) ? product->input(0) : nullptr;
}

bool rewrite_one(Node* rsqrt) {
  Node* shifted = made_by(rsqrt->input(0), {"aten::add"});
  if (!shifted) return false;
  const auto epsilon = constant_number(shifted->input(1));
  Node* mean = made_by(shifted->input(0), {"aten::mean"});
  Value* wide = mean && epsilon ? squared(mean->input(0)) : nullptr;
  Node* product = wide ? only_user(rsqrt->output(), {"aten::mul"}) : nullptr;
  if (!product || other_operand(product, rsqrt->output()) != wide) return false;
  Value* normalised = product->output();
  while (Node* cast = only_user(normalised, {"aten::to", "aten::type_as"})) normalised = cast->output();
  Node* scaled = only_user(normalised, {"aten::mul"});
  if (!scaled) return false;
  const Factor factor = factor_of(other_operand(scaled, normalised));
  torch::jit::WithInsertPoint guard(scaled);
  torch::jit::Graph& graph = *scaled->owningGraph();
  Node* fused = insert_before(scaled, symbol(),
                              {before_casts(wide), factor.weight, graph.insertConstant(*epsilon),
                               graph.insertConstant(factor.offset)});
  scaled->output()->replaceAllUsesWith(fused->output());
  return true;
}

}  // namespace

int rewrite_rms_norm(torch::jit::Graph& graph) {
  int count = 0;
  for (Node* node : nodes_of_kind(graph, "aten::rsqrt")) count += rewrite_one(node);
  return count;
}

}  // namespace lora
