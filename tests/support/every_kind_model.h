#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>

#include "lora/model/program.h"

namespace lora::test {

/// How the head of an every-kind model gets its weight.
enum class Head {
  own,         ///< a weight of its own
  shared,      ///< reads the embedding's attribute, as traces of tied models do: one slot
  aliased,     ///< an attribute of its own that holds the embedding's tensor: two slots
  classifier,  ///< logits [batch, 3] from the last hidden state's mean, by classifier.weight and
               ///< classifier.bias
};

/// Writes a one-layer transformer that has every kind of site to FOLDER/NAME.pt and returns the path:
/// embedding `wte`, fused Conv1D `attn.c_attn` with query, key and value slices, linear `attn.c_proj` and
/// `mlp.up` (with bias), `mlp.down` as a product with an [in, out] weight. forward(input_ids,
/// attention_mask).
std::filesystem::path every_kind_model(const std::filesystem::path& folder, Head head = Head::own,
                                       at::ScalarType type = at::kFloat, int seed = 1);

/// Writes a model of three products whose modules' paths end alike, `inner.same`, `same` and `list.0`, in
/// this order.
std::filesystem::path like_named_model(const std::filesystem::path& folder);

/// Three rows of seven ids, two of them padded on the right.
ModelInputs every_kind_inputs();

}  // namespace lora::test
