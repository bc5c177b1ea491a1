#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "lora/kernels/attention.h"

namespace lora {

struct AttentionGradients {
  at::Tensor q, k, v;
};

/// Whether tiles can do it: float32 on the CPU, d a multiple of 16, no masks left, more than a few queries.
bool tiles_fit(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const AttentionPlan& plan);

/// attention() in tiles of 48 queries and 64 keys that stay in the cache (Dao 2023, arXiv:2307.08691). Unlike
/// products of whole matrices they compute what a causal query sees and little more, at any length. Returns
/// outputs [batch, heads, queries, d] and normalisers [batch, heads, queries], the logarithms of the sums of
/// exponentials.
std::vector<at::Tensor> tiled_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                                        const AttentionPlan& plan, double scale);

/// Gradients of what comes before, from what it returned; P is computed anew from the normalisers:
/// dv = P^T dout, ds = scale P (dout v^T - rowsum(dout out)), dq = ds k, dk = ds^T q.
AttentionGradients tiled_attention_backward(const at::Tensor& dout, const at::Tensor& q, const at::Tensor& k,
                                            const at::Tensor& v, at::TensorList results,
                                            const AttentionPlan& plan, double scale);

/// [batch, heads, time, d] laid out as [batch, time, heads, d]: where projections want it.
at::Tensor empty_by_time(at::IntArrayRef sizes, at::TensorOptions options);

}  // namespace lora
