#pragma once

#include <c10/core/Device.h>
#include <torch/csrc/jit/ir/ir.h>

namespace lora {

/// Points the graph's device constants at `device` and moves its tensor constants there: traces bake the
/// device that they were made on.
void move_constants(torch::jit::Graph& graph, c10::Device device);

}  // namespace lora
