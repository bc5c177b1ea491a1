#include "model/select_rows.h"

namespace lora {

using torch::jit::NamedValue;
using torch::jit::Value;

void select_rows_before(SiteUse& head) {
  torch::jit::Graph& graph = *head.node->owningGraph();
  Value* positions = graph.addInput("positions");
  positions->setType(c10::TensorType::get());
  torch::jit::WithInsertPoint guard(head.node);
  Value* flat = graph.insert(c10::aten::flatten, {head.input, NamedValue(0), NamedValue(-2)});
  Value* rows = graph.insert(c10::aten::index_select, {flat, NamedValue(0), positions});
  head.node->replaceInputWith(head.input, rows);
  head.input = rows;
}

}  // namespace lora
