#include "model/narrow_op.h"

#include <ATen/ATen.h>

#include "lora/kernels/low_rank_linear.h"
#include "model/hook_op.h"
#include "model/rewrites/pattern.h"

namespace lora {
namespace {

using torch::jit::Node;
using torch::jit::Value;

void run_narrowed(torch::jit::Stack& stack) {
  const at::Tensor weight = torch::jit::pop(stack).toTensor();
  const auto holder = torch::jit::pop(stack).toCapsule();
  torch::jit::push(stack, static_cast<const HookTable&>(*holder).narrow->of(weight));
}

void run_linear(torch::jit::Stack& stack) {
  const bool transposed = torch::jit::pop(stack).toBool();
  const at::Tensor bias = tensor_or_none(torch::jit::pop(stack));
  const at::Tensor weight = torch::jit::pop(stack).toTensor(), x = torch::jit::pop(stack).toTensor();
  torch::jit::push(stack, linear_in_weight_type(x, transposed ? weight.t() : weight, bias));
}

c10::Symbol narrowed_symbol() {
  static const c10::Symbol operation =
      register_operation("lora::narrowed(Any table, Tensor weight) -> Tensor", run_narrowed);
  return operation;
}

c10::Symbol linear_symbol() {
  static const c10::Symbol operation = register_operation(
      "lora::narrow_linear(Tensor x, Tensor weight, Tensor? bias, bool transposed) -> Tensor", run_linear);
  return operation;
}

void run_widened(torch::jit::Stack& stack) {
  torch::jit::push(stack, torch::jit::pop(stack).toTensor().to(at::kFloat));
}

c10::Symbol widened_symbol() {
  static const c10::Symbol operation =
      register_operation("lora::widened(Tensor narrow) -> Tensor", run_widened);
  return operation;
}

}  // namespace

at::Tensor linear_in_weight_type(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  if (!bias.defined()) return product_in_type_of(x, weight);
  if (x.scalar_type() == weight.scalar_type()) return at::linear(x, weight, bias);
  return product_in_type_of(x, weight) + bias;
}

at::Tensor NarrowWeights::of(const at::Tensor& weight) {
  if (weight.requires_grad()) return weight.to(type_);
  const std::lock_guard lock(mutex_);
  Entry& entry = known_[weight.unsafeGetTensorImpl()];
  const std::uint32_t version = weight._version();
  if (!entry.narrow.defined() || entry.version != version) entry = {weight, weight.to(type_), version};
  return entry.narrow;
}

Value* insert_narrowed(Value* weight, Value* table) {
  torch::jit::Graph& graph = *weight->owningGraph();
  Node* node = graph.create(narrowed_symbol(), {table, weight});
  node->output()->setType(c10::TensorType::get());
  graph.prependNode(node);
  return node->output();
}

bool narrow_use(SiteUse& use, Value* narrow) {
  const bool linear = is_any(use.node, {"aten::linear"});
  if (!linear && !is_any(use.node, {"aten::addmm"})) return false;
  // addmm multiplies by the weight as it lies, or by its transpose made by a node before.
  torch::jit::Graph& graph = *use.node->owningGraph();
  torch::jit::WithInsertPoint guard(use.node);
  const bool transposed = use.kind == SiteKind::conv1d;
  Value* bias = use.bias ? use.bias : graph.insertConstant(c10::IValue());
  Node* node =
      insert_before(use.node, linear_symbol(), {use.input, narrow, bias, graph.insertConstant(transposed)});
  use.node->output()->replaceAllUsesWith(node->output());
  use.node = node;
  return true;
}

void widen_use(SiteUse& use) {
  Node* wide = insert_before(use.node->next(), widened_symbol(), {use.node->output()});
  use.node->output()->replaceAllUsesAfterNodeWith(wide, wide->output());
  use.node = wide;
}

}  // namespace lora
