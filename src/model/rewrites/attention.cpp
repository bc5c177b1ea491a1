#include "lora/kernels/attention.h"

#include <ATen/ATen.h>
#include <torch/custom_class.h>

#include <map>

#include "model/rewrites/pattern.h"
#include "model/rewrites/rewrite.h"
#include "model/rewrites/softmax_attention.h"

namespace lora {
namespace {

using torch::jit::Node;
using torch::jit::Value;

struct PlanHolder : torch::CustomClassHolder {
  PlanHolder(std::optional<AttentionPlan> all, std::int64_t query_count, std::int64_t key_count)
      : plan(std::move(all)), queries(query_count), keys(key_count) {}
  std::optional<AttentionPlan> plan;  ///< nothing if the mask fits none
  std::int64_t queries, keys;
};

/// A mask that broadcasts to the scores as [batch or 1, heads or 1, queries, keys].
at::Tensor four_dimensional(at::Tensor mask, const at::Tensor& q, const at::Tensor& k) {
  if (q.dim() == 3 && mask.dim() == 3) mask = mask.unsqueeze(1);
  while (mask.dim() < 4) mask = mask.unsqueeze(0);
  return mask.dim() == 4 ? mask.expand({mask.size(0), mask.size(1), q.size(-2), k.size(-2)}) : mask;
}

void run_plan(torch::jit::Stack& stack) {
  const at::Tensor mask = torch::jit::pop(stack).toTensor();
  const at::Tensor k = torch::jit::pop(stack).toTensor(), q = torch::jit::pop(stack).toTensor();
  torch::jit::push(stack, c10::IValue::make_capsule(c10::make_intrusive<PlanHolder>(
                              plan_attention(four_dimensional(mask, q, k)), q.size(-2), k.size(-2))));
}

/// Flash attention wants few blocks of many queries; scattered masks are better computed whole.
bool is_worth_it(const AttentionPlan& plan, std::int64_t batch, std::int64_t queries) {
  std::size_t blocks = 0;
  for (const auto& row : plan.rows) blocks += row.size();
  return blocks <= static_cast<std::size_t>(batch + batch * queries / 4);
}

/// What the attention of some operands can use; nothing if it has to be computed whole.
std::optional<AttentionPlan> usable_plan(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                         const c10::IValue& holder, bool causal) {
  const bool fits = q.is_cpu() && q.dim() == 4 && q.scalar_type() == k.scalar_type() &&
                    q.scalar_type() == v.scalar_type() && v.size(3) == q.size(3);
  if (!fits) return std::nullopt;
  if (holder.isNone()) return plan_attention(q.size(2), k.size(2), causal);
  const auto& known = static_cast<const PlanHolder&>(*holder.toCapsule());
  if (!known.plan || known.queries != q.size(2) || known.keys != k.size(2)) return std::nullopt;
  const auto& plan = *known.plan;
  const bool of_these = plan.rows.size() == 1 || static_cast<std::int64_t>(plan.rows.size()) == q.size(0);
  return of_these && is_worth_it(plan, q.size(0), q.size(2)) ? known.plan : std::nullopt;
}

/// As [batch, heads, time, d] with features side by side, which flash attention takes for granted.
at::Tensor with_heads(const at::Tensor& tensor) {
  const at::Tensor heads = tensor.dim() == 3 ? tensor.unsqueeze(1) : tensor;
  return heads.stride(-1) == 1 ? heads : heads.contiguous();
}

void run_attention(torch::jit::Stack& stack) {
  const auto scale = torch::jit::pop(stack).toOptional<double>();
  const bool causal = torch::jit::pop(stack).toBool();
  const auto mask = torch::jit::pop(stack).toOptional<at::Tensor>();
  const c10::IValue holder = torch::jit::pop(stack);
  const at::Tensor v = torch::jit::pop(stack).toTensor(), k = torch::jit::pop(stack).toTensor();
  const at::Tensor q = torch::jit::pop(stack).toTensor();
  const auto plan = usable_plan(with_heads(q), with_heads(k), with_heads(v), holder, causal);
  at::Tensor out;
  if (plan) {
    out = attention(with_heads(q), with_heads(k), with_heads(v), *plan, scale);
    if (q.dim() == 3) out = out.squeeze(1);
  } else {
    const bool grouped = q.dim() == 4 && q.size(1) != k.size(1);
    out = at::scaled_dot_product_attention(q, k, v, mask, 0, causal, scale, grouped);
  }
  torch::jit::push(stack, std::move(out));
}

c10::Symbol plan_symbol() {
  static const c10::Symbol operation =
      register_operation("lora::attention_plan(Tensor q, Tensor k, Tensor mask) -> Any", run_plan);
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
    for (Node* node : nodes_of_kind(graph_, "aten::softmax")) count += rewrite_softmax(node);
    return count;
  }

 private:
  bool rewrite(Node* node) {
    Value* causal = node->input(5);
    if (constant_number(node->input(4)) != 0.0 || causal->type()->kind() != c10::TypeKind::BoolType)
      return false;
    Value* mask = node->input(3)->mustBeNone() ? nullptr : node->input(3);
    replace(node, {node->input(0), node->input(1), node->input(2), mask, causal, node->input(6)});
    return true;
  }

  bool rewrite_softmax(Node* softmax) {
    const auto found = match_softmax_attention(softmax);
    if (!found) return false;
    torch::jit::WithInsertPoint guard(found->result);
    replace(found->result,
            {found->q, found->k, found->v, found->mask, graph_.insertConstant(false), found->scale});
    return true;
  }

  struct Operands {
    Value *q, *k, *v, *mask, *causal, *scale;  ///< mask may be null
  };

  void replace(Node* node, const Operands& of) {
    torch::jit::WithInsertPoint guard(node);
    Value* none = graph_.insertConstant(c10::IValue());
    Value* k = before_repeat(of.k);
    Node* fused = insert_before(node, attention_symbol(),
                                {of.q, k, before_repeat(of.v), of.mask ? plan_of(of, k, node) : none,
                                 of.mask ? of.mask : none, of.causal, of.scale});
    node->output()->replaceAllUsesWith(fused->output());
  }

  /// Layers that share a mask share its plan.
  Value* plan_of(const Operands& of, Value* k, Node* first) {
    Value*& plan = plans_[of.mask];
    if (!plan) {
      plan = insert_before(first, plan_symbol(), {of.q, k, of.mask})->output();
      plan->setType(c10::AnyType::get());
    }
    return plan;
  }

  torch::jit::Graph& graph_;
  std::map<Value*, Value*> plans_;
};

}  // namespace

int rewrite_attention(torch::jit::Graph& graph) { return AttentionRewriter(graph).run(); }

PlainPlaces plain_attention(torch::jit::Graph& graph, const RecordedValues& values) {
  PlainPlaces places;
  places.left = static_cast<int>(nodes_of_kind(graph, "aten::scaled_dot_product_attention").size());
  for (Node* node : nodes_of_kind(graph, "aten::softmax")) places.left += weighs_values(node);
  for (Node* node : nodes_of_kind(graph, attention_symbol().toQualString())) {
    const auto tensor = [&](std::size_t i) { return with_heads(values.at(node->input(i)).toTensor()); };
    const bool causal = values.at(node->input(5)).toBool();
    places.unfit += !usable_plan(tensor(0), tensor(1), tensor(2), values.at(node->input(3)), causal);
  }
  return places;
}

}  // namespace lora
