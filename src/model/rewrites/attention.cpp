#include "lora/kernels/attention.h"

#include <ATen/ATen.h>
#include <torch/custom_class.h>

#include <map>

#include "model/rewrites/pattern.h"
#include "model/rewrites/rewrite.h"

namespace lora {
namespace {

using torch::jit::Node;
using torch::jit::Value;

struct PlanHolder : torch::CustomClassHolder {
  explicit PlanHolder(std::optional<AttentionPlan> all) : plan(std::move(all)) {}
  std::optional<AttentionPlan> plan;  ///< nothing if the mask fits none
};

void run_plan(torch::jit::Stack& stack) {
  const at::Tensor mask = torch::jit::pop(stack).toTensor();
  torch::jit::push(stack, c10::IValue::make_capsule(c10::make_intrusive<PlanHolder>(plan_attention(mask))));
}

/// Flash attention wants few blocks of many queries; scattered masks are better computed whole.
bool is_worth_it(const AttentionPlan& plan, std::int64_t batch, std::int64_t queries) {
  std::size_t blocks = 0;
  for (const auto& row : plan.rows) blocks += row.size();
  return blocks <= static_cast<std::size_t>(batch + batch * queries / 4);
}

void run_attention(torch::jit::Stack& stack) {
  const auto scale = torch::jit::pop(stack).toOptional<double>();
  const bool causal = torch::jit::pop(stack).toBool();
  const auto mask = torch::jit::pop(stack).toOptional<at::Tensor>();
  const c10::IValue holder = torch::jit::pop(stack);
  const at::Tensor v = torch::jit::pop(stack).toTensor(), k = torch::jit::pop(stack).toTensor();
  const at::Tensor q = torch::jit::pop(stack).toTensor();
  std::optional<AttentionPlan> own;
  if (holder.isNone()) own = plan_attention(q.size(2), k.size(2), causal);
  const auto& plan = holder.isNone() ? own : static_cast<const PlanHolder&>(*holder.toCapsule()).plan;
  const bool fits = plan && q.is_cpu() && q.scalar_type() == v.scalar_type() && v.size(3) == q.size(3) &&
                    (plan->rows.size() == 1 || static_cast<std::int64_t>(plan->rows.size()) == q.size(0)) &&
                    is_worth_it(*plan, q.size(0), q.size(2));
  torch::jit::push(stack, fits ? attention(q, k, v, *plan, scale)
                               : at::scaled_dot_product_attention(q, k, v, mask, 0, causal, scale,
                                                                  /*enable_gqa=*/q.size(1) != k.size(1)));
}

c10::Symbol plan_symbol() {
  static const c10::Symbol operation =
      register_operation("lora::attention_plan(Tensor mask) -> Any", run_plan);
  return operation;
}

c10::Symbol attention_symbol() {
  static const c10::Symbol operation = register_operation(
      "lora::attention(Tensor q, Tensor k, Tensor v, Any plan, Tensor? mask, bool causal, float? scale) -> "
      "Tensor",
      run_attention);
  return operation;
}

/// Keys or values before each head was repeated for the queries it serves: [b, h, 1, t, d] expanded and
/// flattened.
Value* before_repeat(Value* value) {
  Node* flat = made_by(value, {"aten::reshape", "aten::view"});
  Node* repeated = flat ? made_by(flat->input(0), {"aten::expand"}) : nullptr;
  if (!repeated) return value;
  Value* source = repeated->input(0);
  int added = 0;
  while (Node* node = made_by(source, {"aten::slice", "aten::unsqueeze"})) {
    if (std::string_view(node->kind().toQualString()) == "aten::unsqueeze") {
      if (constant_number(node->input(1)) != 2.0 || ++added > 1) return value;
    }
    source = node->input(0);
  }
  return added == 1 ? source : value;
}

class AttentionRewriter {
 public:
  explicit AttentionRewriter(torch::jit::Graph& graph) : graph_(graph) {}

  int run() {
    int count = 0;
    for (Node* node : nodes_of_kind(graph_, "aten::scaled_dot_product_attention")) count += rewrite(node);
    return count;
  }

 private:
  bool rewrite(Node* node) {
    Value *mask = node->input(3), *causal = node->input(5);
    if (constant_number(node->input(4)) != 0.0 || causal->type()->kind() != c10::TypeKind::BoolType)
      return false;
    torch::jit::WithInsertPoint guard(node);
    Value* plan = mask->mustBeNone() ? graph_.insertConstant(c10::IValue()) : plan_of(mask, node);
    Node* fused = insert_before(node, attention_symbol(),
                                {node->input(0), before_repeat(node->input(1)), before_repeat(node->input(2)),
                                 plan, mask, causal, node->input(6)});
    node->output()->replaceAllUsesWith(fused->output());
    return true;
  }

  /// Layers that share a mask share its plan.
  Value* plan_of(Value* mask, Node* first) {
    Value*& plan = plans_[mask];
    if (!plan) {
      plan = insert_before(first, plan_symbol(), {mask})->output();
      plan->setType(c10::AnyType::get());
    }
    return plan;
  }

  torch::jit::Graph& graph_;
  std::map<Value*, Value*> plans_;
};

}  // namespace

int rewrite_attention(torch::jit::Graph& graph) { return AttentionRewriter(graph).run(); }

}  // namespace lora
