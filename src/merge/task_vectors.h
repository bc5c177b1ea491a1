#pragma once

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

namespace lora {

/// How several updates of one weight become one.
struct TaskMerge {
  std::string method;  ///< see merge_task_vectors
  double density = 1;  ///< d: share of the elements that are kept
};

/// True for the methods that are sums with fixed coefficients.
bool is_linear(const TaskMerge& merge);

/// The factor c_i of each update: its weight w_i, or w_i / (w_1 + ... + w_n) for an average. usage error if
/// these sum to zero.
std::vector<double> task_factors(const TaskMerge& merge, const std::vector<double>& weights);

/// The merged update of dense updates D_i with factors c_i, element by element:
///
///   sum, average     sum_i c_i D_i                  (task arithmetic, arXiv:2212.04089)
///   magnitude_prune  sum_i c_i top_d(D_i)
///   ties             sum_i m_i c_i T_i / max(1, sum_i m_i), T_i = top_d(D_i) (arXiv:2306.01708)
///   dare_linear      sum_i c_i R_i                  (arXiv:2311.03099)
///   dare_ties        as ties with T_i = R_i
///
/// top_d keeps the floor(d n) elements that are largest in size; m_i = 1 where sgn T_i = g, else 0, with
/// g = +1 where sum_i T_i >= 0, else -1; R_i = b D_i / d with b ~ Bernoulli(d).
///
/// Equal to PEFT's merge_utils for positive factors. A negative factor negates the update before signs are
/// elected.
at::Tensor merge_task_vectors(const TaskMerge& merge, const std::vector<at::Tensor>& updates,
                              std::vector<double> factors, at::Generator& generator);

}  // namespace lora
