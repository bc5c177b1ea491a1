#include <torch/csrc/jit/ir/constants.h>
#include <torch/csrc/jit/ir/irparser.h>

#include "model/device.h"
#include "support/catch.h"

TEST_CASE("device: baked device constants follow the model") {
  torch::jit::Graph graph;
  torch::jit::parseIR(R"IR(
graph(%x : Tensor):
  %none : NoneType = prim::Constant()
  %false : bool = prim::Constant[value=0]()
  %device : Device = prim::Constant[value="cpu"]()
  %n : int = prim::Constant[value=4]()
  %r : Tensor = aten::arange(%n, %none, %none, %device, %false)
  return (%r))IR", &graph);
  lora::move_constants(graph, c10::Device("meta"));
  int devices = 0;
  for (const torch::jit::Node* node : graph.nodes()) {
    if (node->kind() != c10::prim::Constant) continue;
    const auto value = torch::jit::toIValue(node->output());
    if (!value->isDevice()) continue;
    ++devices;
    CHECK(value->toDevice() == c10::Device("meta"));
  }
  CHECK(devices == 1);
  graph.lint();
}
