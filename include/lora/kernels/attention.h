#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <vector>

namespace lora {

/// Queries [query, query + queries) that see keys within [key, key + keys) only.
struct AttentionBlock {
  enum class Kind {
    full,    ///< every query sees every key
    causal,  ///< as many keys as queries: the n-th query sees the first n
    masked,  ///< what the mask says
  };
  std::int64_t query = 0, queries = 0, key = 0, keys = 0;
  Kind kind = Kind::full;
  bool operator==(const AttentionBlock&) const = default;
};

/// How an attention mask falls apart into blocks that need no mask: padding, causality, packed documents and
/// sliding windows are told by looking at its values, so nothing is assumed about where it comes from.
struct AttentionPlan {
  std::vector<std::vector<AttentionBlock>> rows;  ///< of each row of the batch; one entry if all are alike
  at::Tensor
      additive;  ///< float32 mask [rows, 1, queries, keys] for masked blocks; undefined if there are none

  std::int64_t score_count() const;  ///< products of a query and a key in all rows' blocks, per head
};

/// The plan of a mask [batch or 1, heads or 1, queries, keys], bool (true: seen) or additive float (0 or at
/// most -1e4). Nothing if no plan fits: masks that differ by head, biases other than these, queries that see
/// no key or keys with gaps between, tensors that are not on the CPU.
std::optional<AttentionPlan> plan_attention(const at::Tensor& mask);

/// Plan without a mask. `causal` needs as many queries as keys.
AttentionPlan plan_attention(std::int64_t queries, std::int64_t keys, bool causal);

/// softmax(scale q k^T + mask) v, block by block with LibTorch's flash attention, so that no scores are kept
/// and masked ones are not computed. q [batch, heads, queries, d]; k, v [batch, heads / n, keys, d]: each key
/// and value head serves n query heads (grouped queries, Ainslie et al. 2023). `scale` defaults to 1 /
/// sqrt(d). Float types on the CPU.
at::Tensor attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const AttentionPlan& plan,
                     std::optional<double> scale);

/// The same with the whole mask at once (bool or additive; undefined: none): the oracle.
at::Tensor attention_reference(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                               const at::Tensor& mask, std::optional<double> scale);

/// Attention of ours, which is no operation of LibTorch's, tells at::RecordFunction under this name how many
/// operations its products take, an int.
inline constexpr const char* kRecordedProducts = "lora::attention";

}  // namespace lora
