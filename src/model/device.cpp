#include "model/device.h"

#include <torch/csrc/jit/ir/constants.h>

namespace lora {
namespace {

using torch::jit::Node;

/// The constant for the new device, or nothing if it need not change. 0-dimensional tensors mix with any
/// device.
std::optional<c10::IValue> moved(const c10::IValue& value, c10::Device device) {
  if (value.isDevice()) return c10::IValue(device);
  if (value.isTensor() && value.toTensor().dim() > 0) return c10::IValue(value.toTensor().to(device));
  return std::nullopt;
}

void move_block(torch::jit::Graph& graph, torch::jit::Block* block, c10::Device device) {
  for (auto each = block->nodes().begin(); each != block->nodes().end();) {
    Node* node = *each++;
    for (torch::jit::Block* inner : node->blocks()) move_block(graph, inner, device);
    if (node->kind() != c10::prim::Constant) continue;
    const auto value = torch::jit::toIValue(node->output());
    const auto replacement = value ? moved(*value, device) : std::nullopt;
    if (!replacement) continue;
    torch::jit::WithInsertPoint guard(node);
    node->output()->replaceAllUsesWith(graph.insertConstant(*replacement));
    node->destroy();
  }
}

}  // namespace

void move_constants(torch::jit::Graph& graph, c10::Device device) {
  move_block(graph, graph.block(), device);
}

}  // namespace lora
