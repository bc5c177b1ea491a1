#include "model/hook_op.h"

#include <torch/csrc/jit/runtime/operator.h>

#include "lora/base/error.h"
#include "lora/base/text.h"

namespace lora {
namespace {

using torch::jit::Node;
using torch::jit::Value;

void run_hook(torch::jit::Stack& stack) {
  const c10::IValue bias = torch::jit::pop(stack);
  const at::Tensor weight = torch::jit::pop(stack).toTensor();
  const at::Tensor input = torch::jit::pop(stack).toTensor();
  const c10::IValue output = torch::jit::pop(stack);
  const std::int64_t index = torch::jit::pop(stack).toInt();
  const c10::IValue table = torch::jit::pop(stack);
  torch::jit::push(
      stack, hooked_site(table, index).hook({tensor_or_none(output), input, weight, tensor_or_none(bias)}));
}

c10::Symbol hook_symbol() {
  static const c10::Symbol symbol = [] {
    torch::jit::registerOperator(
        torch::jit::Operator("lora::hook(Any table, int index, Tensor? output, Tensor input, Tensor weight, "
                             "Tensor? bias) -> Tensor",
                             torch::jit::Operation(run_hook), c10::AliasAnalysisKind::FROM_SCHEMA));
    return c10::Symbol::fromQualString("lora::hook");
  }();
  return symbol;
}

}  // namespace

const HookedSite& hooked_site(const c10::IValue& table, std::int64_t index) {
  const auto holder = table.toCapsule();
  return static_cast<const HookTable&>(*holder).sites.at(static_cast<std::size_t>(index));
}

at::Tensor tensor_or_none(const c10::IValue& value) {
  return value.isNone() ? at::Tensor() : value.toTensor();
}

bool runs_hooks(const Node* node) {
  return is_any(node, {"lora::hook"}) ||
         (is_any(node, {"lora::shared_linears"}) && !node->input(0)->mustBeNone());
}

void insert_hook(const SiteUse& use, Value* weight, std::int64_t index, Value* table, bool computes_site) {
  if (const Node* writer = writer_of(use.input)) {
    throw Error(
        ExitCode::file,
        cat("the graph changes the input of an adapted site in place (", writer->kind().toQualString(), ")"),
        "leave this site out with --exclude, or export the model with scripts/export_model.py");
  }
  torch::jit::Graph& graph = *use.node->owningGraph();
  torch::jit::WithInsertPoint guard(use.node->next());
  Value* output = use.node->output();
  Value* bias = use.bias ? use.bias : graph.insertConstant(c10::IValue());
  Value* given = computes_site ? graph.insertConstant(c10::IValue()) : output;
  Node* hook =
      graph.create(hook_symbol(), {table, graph.insertConstant(index), given, use.input, weight, bias});
  hook->output()->setType(c10::TensorType::get());
  graph.insertNode(hook);
  output->replaceAllUsesAfterNodeWith(hook, hook->output());
}

}  // namespace lora
