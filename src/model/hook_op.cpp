#include "model/hook_op.h"

#include <torch/csrc/jit/runtime/operator.h>

#include "lora/base/error.h"
#include "lora/base/text.h"

namespace lora {
namespace {

using torch::jit::Node;
using torch::jit::Value;

at::Tensor tensor_of(const c10::IValue& value) { return value.isNone() ? at::Tensor() : value.toTensor(); }

void run_hook(torch::jit::Stack& stack) {
  const c10::IValue bias = torch::jit::pop(stack);
  const at::Tensor weight = torch::jit::pop(stack).toTensor();
  const at::Tensor input = torch::jit::pop(stack).toTensor();
  const c10::IValue output = torch::jit::pop(stack);
  const auto index = static_cast<std::size_t>(torch::jit::pop(stack).toInt());
  const auto holder = torch::jit::pop(stack).toCapsule();
  const auto& table = static_cast<const HookTable&>(*holder);
  torch::jit::push(stack, table.hooks.at(index)({tensor_of(output), input, weight, tensor_of(bias)}));
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

void refuse_in_place(const Value* value) {
  for (const torch::jit::Use& use : value->uses()) {
    const std::string kind = use.user->kind().toQualString();
    if (use.offset == 0 && kind.starts_with("aten::") && kind.ends_with("_") && !kind.ends_with("__")) {
      throw Error(ExitCode::file, cat("the graph changes the input of an adapted site in place (", kind, ")"),
                  "leave this site out with --exclude, or export the model with scripts/export_model.py");
    }
  }
}

}  // namespace

void insert_hook(const SiteUse& use, Value* weight, std::int64_t index, Value* table, bool computes_site) {
  refuse_in_place(use.input);
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
