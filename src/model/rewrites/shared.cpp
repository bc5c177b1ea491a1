#include <ATen/ATen.h>

#include <algorithm>
#include <unordered_map>

#include "lora/kernels/low_rank_linear.h"
#include "model/hook_op.h"
#include "model/rewrites/pattern.h"
#include "model/rewrites/rewrite.h"
#include "model/uses.h"

namespace lora {
namespace {

using torch::jit::Graph;
using torch::jit::Node;
using torch::jit::Value;

constexpr std::int64_t kNoHook = -1;

/// What a linear operation computes as one projection; nothing if it has to be alone: its weight is trained,
/// or its hook does something else.
std::optional<Projection> projection_of(const HookedSite* hooked, const at::Tensor& x,
                                        const Projection& frozen) {
  if (hooked) return hooked->projection ? hooked->projection({{}, x, frozen.W, frozen.b}) : std::nullopt;
  return frozen.W.requires_grad() ? std::nullopt : std::optional(frozen);
}

at::Tensor run_alone(const HookedSite* hooked, const at::Tensor& x, const Projection& frozen) {
  if (hooked) return hooked->hook({{}, x, frozen.W, frozen.b});
  return linear_in_weight_type(x, frozen.W, frozen.b);
}

void run(torch::jit::Stack& stack) {
  const c10::IValue biases = torch::jit::pop(stack), weights = torch::jit::pop(stack);
  const at::Tensor x = torch::jit::pop(stack).toTensor();
  const auto numbers = torch::jit::pop(stack).toIntVector();
  const c10::IValue table = torch::jit::pop(stack);
  std::vector<at::Tensor> outputs(numbers.size());
  std::vector<Projection> together;
  std::vector<std::size_t> places;
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    const Projection frozen{weights.toListRef()[i].toTensor(), tensor_or_none(biases.toListRef()[i]), {}, {}};
    const HookedSite* hooked = numbers[i] == kNoHook ? nullptr : &hooked_site(table, numbers[i]);
    if (auto projection = projection_of(hooked, x, frozen)) {
      together.push_back(*std::move(projection));
      places.push_back(i);
    } else {
      outputs[i] = run_alone(hooked, x, frozen);
    }
  }
  const std::vector<at::Tensor> found = low_rank_linears(x, together);
  for (std::size_t i = 0; i < places.size(); ++i) outputs[places[i]] = found[i];
  torch::jit::push(stack, c10::List<at::Tensor>(outputs));
}

c10::Symbol symbol() {
  static const c10::Symbol operation = register_operation(
      "lora::shared_linears(Any table, int[] hooks, Tensor x, Tensor[] weights, Tensor?[] biases) -> "
      "Tensor[]",
      run);
  return operation;
}

/// A linear operation of x: a frozen one, or a hook that computes its site.
struct Linear {
  Node* node;
  Value *x, *weight, *bias;
  Value* table = nullptr;
  std::int64_t hook = kNoHook;
};

std::optional<Linear> linear_of(Node* node) {
  const bool narrow = is_any(node, {"lora::narrow_linear"});
  if (is_any(node, {"aten::linear"}) || (narrow && torch::jit::constant_as<bool>(node->input(3)) == false))
    return Linear{node, node->input(0), node->input(1), node->input(2)};
  if (!is_any(node, {"lora::hook"}) || !node->input(2)->mustBeNone()) return std::nullopt;
  const auto hook = torch::jit::constant_as<std::int64_t>(node->input(1));
  return Linear{node, node->input(3), node->input(4), node->input(5), node->input(0), hook.value()};
}

bool is_there_before(const Value* value, const Node* node) {
  return value->mustBeNone() || value->node()->kind() == c10::prim::Param || value->node()->isBefore(node);
}

/// Linears of the same x, in the graph's order; those whose weight is only made behind the first are left
/// out.
std::vector<std::vector<Linear>> groups(Graph& graph) {
  std::vector<std::vector<Linear>> groups;
  std::unordered_map<const Value*, std::size_t> group_of;
  for (Node* node : graph.nodes()) {
    const auto linear = linear_of(node);
    if (!linear || writer_of(linear->x)) continue;
    const auto [known, is_new] = group_of.emplace(linear->x, groups.size());
    if (is_new) groups.emplace_back();
    std::vector<Linear>& group = groups[known->second];
    const Node* first = is_new ? node : group.front().node;
    if (is_there_before(linear->weight, first) && is_there_before(linear->bias, first))
      group.push_back(*linear);
  }
  std::erase_if(groups, [](const auto& group) { return group.size() < 2; });
  return groups;
}

void join(Graph& graph, const std::vector<Linear>& group) {
  torch::jit::WithInsertPoint guard(group.front().node);
  Value *none = graph.insertConstant(c10::IValue()), *table = none;
  std::vector<Value*> weights, biases;
  std::vector<std::int64_t> hooks;
  for (const Linear& each : group) {
    weights.push_back(each.weight);
    biases.push_back(each.bias->mustBeNone() ? none : each.bias);
    hooks.push_back(each.hook);
    if (each.table) table = each.table;
  }
  const auto list = [&](c10::TypePtr type, const std::vector<Value*>& values) {
    return graph.insertNode(graph.createList(std::move(type), values))->output();
  };
  Node* joined = graph.insertNode(graph.create(
      symbol(), {table, graph.insertConstant(hooks), group.front().x, list(c10::TensorType::get(), weights),
                 list(c10::OptionalType::ofTensor(), biases)}));
  joined->output()->setType(c10::ListType::ofTensors());
  Node* outputs = graph.insertNode(graph.createListUnpack(joined->output(), group.size()));
  for (std::size_t i = 0; i < group.size(); ++i)
    group[i].node->output()->replaceAllUsesWith(outputs->output(i));
}

}  // namespace

int rewrite_shared(Graph& graph) {
  const auto found = groups(graph);
  for (const auto& group : found) join(graph, group);
  return static_cast<int>(found.size());
}

}  // namespace lora
