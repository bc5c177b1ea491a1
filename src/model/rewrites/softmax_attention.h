#pragma once

#include <torch/csrc/jit/ir/ir.h>

#include <optional>

namespace lora {

/// softmax(scale q k^T + mask) v written out in single operations.
struct SoftmaxAttention {
  torch::jit::Node* result = nullptr;  ///< the product with v
  torch::jit::Value *q = nullptr, *k = nullptr, *v = nullptr;
  torch::jit::Value* scale = nullptr;  ///< a float
  torch::jit::Value* mask = nullptr;   ///< what is added to the scores; null if nothing is
};

/// The attention around a softmax over the last dimension: scores of matmul or bmm, multiplied or divided by
/// a number, then masks by add, sub, masked_fill or where, casts, dropout that is switched off. What only
/// asks for the scores' shape is given it without them. Nothing if the scores or weights have other uses, or
/// anything else lies between.
std::optional<SoftmaxAttention> match_softmax_attention(torch::jit::Node* softmax);

/// Whether a softmax is attention of any form: its result goes into a product as the left operand, and
/// nowhere else.
bool weighs_values(torch::jit::Node* softmax);

}  // namespace lora
