#include "merge/subspace.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>

namespace lora {

double subspace_similarity(const at::Tensor& U, const at::Tensor& V, std::int64_t i, std::int64_t j) {
  const at::Tensor overlap = at::mm(U.narrow(1, 0, i).t(), V.narrow(1, 0, j));
  return overlap.square().sum().item<double>() / static_cast<double>(std::min(i, j));
}

at::Tensor similarity_grid(const at::Tensor& U, const at::Tensor& V) {
  const at::Tensor sums = at::mm(U.t(), V).to(at::kDouble).square().cumsum(0).cumsum(1);
  const at::Tensor i = at::arange(1, U.size(1) + 1, at::kDouble),
                   j = at::arange(1, V.size(1) + 1, at::kDouble);
  return sums / at::minimum(i.unsqueeze(1), j);
}

double random_similarity(std::int64_t i, std::int64_t j, std::int64_t n) {
  return static_cast<double>(std::max(i, j)) / static_cast<double>(n);
}

double effective_rank(const at::Tensor& singular_values) {
  const at::Tensor S = singular_values.to(at::kDouble);
  const double sum = S.sum().item<double>();
  if (sum == 0) return 0;
  const at::Tensor p = S / sum;
  return std::exp(-at::xlogy(p, p).sum().item<double>());
}

}  // namespace lora
