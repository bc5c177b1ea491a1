#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace lora {

/// Similarity of the spans of the first i columns of U and the first j of V, both orthonormal:
/// phi = |U_i^T V_j|_F^2 / min(i, j), 0 for orthogonal and 1 for nested spans. Hu et al. 2021
/// (arXiv:2106.09685), eq. 4.
double subspace_similarity(const at::Tensor& U, const at::Tensor& V, std::int64_t i, std::int64_t j);

/// phi for all i and j: float64 [columns of U, columns of V].
at::Tensor similarity_grid(const at::Tensor& U, const at::Tensor& V);

/// What random spans in n dimensions have on average: max(i, j) / n.
double random_similarity(std::int64_t i, std::int64_t j, std::int64_t n);

/// exp of the entropy of the normalised singular values: how many directions carry the matrix. 0 for a zero
/// matrix. Roy & Vetterli 2007, "The effective rank".
double effective_rank(const at::Tensor& singular_values);

}  // namespace lora
