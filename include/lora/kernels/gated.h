#pragma once

#include <ATen/core/Tensor.h>

namespace lora {

/// SiLU x / (1 + e^-x), or GELU in its tanh form x / (1 + e^(-2u)) with u = sqrt(2 / pi) (x + 0.044715 x^3).
enum class Gate { silu, gelu_tanh };

/// y = act(gate) * up, the middle of a gated MLP (Shazeer 2020, arXiv:2002.05202), all of one shape. Keeps
/// its two inputs for the backward pass. Float32 on the CPU; anything else goes the reference's way.
at::Tensor gated(Gate act, const at::Tensor& gate, const at::Tensor& up);

/// The same by single ATen operations: the oracle.
at::Tensor gated_reference(Gate act, const at::Tensor& gate, const at::Tensor& up);

}  // namespace lora
