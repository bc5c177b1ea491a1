#pragma once

#include <ATen/core/ivalue.h>
#include <torch/csrc/jit/ir/ir.h>

#include <unordered_map>
#include <vector>

namespace lora {

/// Every value of one run of a straight graph.
using RecordedValues = std::unordered_map<const torch::jit::Value*, c10::IValue>;

/// Runs a graph without control flow node by node and keeps every intermediate value; for small probes only.
/// Empty if the graph has control flow.
RecordedValues record_run(const torch::jit::Graph& graph, std::vector<c10::IValue> inputs);

/// Runs one node on the given inputs and returns its outputs.
std::vector<c10::IValue> run_node(const torch::jit::Node* node, std::vector<c10::IValue> inputs);

}  // namespace lora
