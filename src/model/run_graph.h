#pragma once

#include <torch/csrc/jit/runtime/interpreter.h>

#include <vector>

namespace lora {

/// Runs compiled code and returns its single output. The plain interpreter is used, not the profiling
/// executor, whose backward fails in mixed precision. memory error if an allocation fails; mismatch error
/// with LibTorch's short message (no backtrace, no Python trace) for anything the graph itself refuses.
c10::IValue run_graph(const torch::jit::Code& code, std::vector<c10::IValue> stack);

/// The same for all outputs.
std::vector<c10::IValue> run_code(const torch::jit::Code& code, std::vector<c10::IValue> stack);

/// The logits in what a forward returned: a tensor, the first of a tuple or list, the entry "logits" of a
/// dictionary.
at::Tensor logits_of(const c10::IValue& output);

}  // namespace lora
