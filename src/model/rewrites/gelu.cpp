#include <cmath>

#include "model/rewrites/pattern.h"
#include "model/rewrites/rewrite.h"

namespace lora {
namespace {

using torch::jit::Node;
using torch::jit::Value;

bool is_near(std::optional<double> number, double expected) {
  return number && std::abs(*number - expected) <= 1e-6 * expected;
}

/// The other operand of a product with this number, whichever side it is on; null if `value` is none.
Value* times(Value* value, double number) {
  Node* product = made_by(value, {"aten::mul"});
  if (!product) return nullptr;
  if (is_near(constant_number(product->input(1)), number)) return product->input(0);
  return is_near(constant_number(product->input(0)), number) ? product->input(1) : nullptr;
}

bool is_cube(Value* value, const Value* x) {
  if (Node* power = made_by(value, {"aten::pow"}))
    return power->input(0) == x && constant_number(power->input(1)) == 3.0;
  Node* product = made_by(value, {"aten::mul"});
  if (!product) return false;
  Node* square = made_by(other_operand(product, x), {"aten::mul"});
  return square && square->input(0) == x && square->input(1) == x;
}

/// x of x + 0.044715 x^3, or null.
Value* inner(Value* value) {
  Node* sum = made_by(value, {"aten::add"});
  if (!sum || constant_number(sum->input(2)) != 1.0) return nullptr;
  for (const std::size_t side : {0, 1}) {
    Value* x = sum->input(side);
    Value* cube = times(sum->input(1 - side), 0.044715);
    if (cube && is_cube(cube, x)) return x;
  }
  return nullptr;
}

/// 0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))), Hendrycks & Gimpel 2016 (arXiv:1606.08415).
bool rewrite_one(Node* tanh) {
  Value* polynomial = times(tanh->input(0), std::sqrt(2 / M_PI));
  Value* x = polynomial ? inner(polynomial) : nullptr;
  Node* shifted = x ? only_user(tanh->output(), {"aten::add"}) : nullptr;
  if (!shifted || constant_number(other_operand(shifted, tanh->output())) != 1.0) return false;
  Node* product = only_user(shifted->output(), {"aten::mul"});
  if (!product || times(other_operand(product, shifted->output()), 0.5) != x) return false;
  torch::jit::WithInsertPoint guard(product);
  Value* form = product->owningGraph()->insertConstant("tanh");
  Node* fused = insert_before(product, c10::aten::gelu, {x, form});
  product->output()->replaceAllUsesWith(fused->output());
  return true;
}

}  // namespace

int rewrite_gelu(torch::jit::Graph& graph) {
  int count = 0;
  for (Node* node : nodes_of_kind(graph, "aten::tanh")) count += rewrite_one(node);
  return count;
}

}  // namespace lora
