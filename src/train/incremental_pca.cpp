#include "train/incremental_pca.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>

#include "lora/kernels/low_rank.h"

namespace lora {
namespace {

constexpr int kPowerIterations = 4;

}  // namespace

IncrementalPca::IncrementalPca(std::int64_t components, std::uint64_t seed)
    : wanted_(components), generator_(at::detail::createCPUGenerator(seed)) {}

void IncrementalPca::add(const at::Tensor& rows) {
  const at::NoGradGuard no_grad;
  const std::int64_t n = rows.size(0);
  if (n == 0) return;
  const at::Tensor batch_mean = rows.mean(0, false, at::kDouble);
  at::Tensor centred = rows - batch_mean.to(at::kFloat);
  square_sum_ += centred.square().sum(at::kDouble).item<double>();
  if (count_ > 0) {
    const double weight =
        static_cast<double>(count_) * static_cast<double>(n) / static_cast<double>(count_ + n);
    const at::Tensor shift = mean_ - batch_mean;
    square_sum_ += weight * shift.square().sum().item<double>();
    centred = at::cat({singular_values_.unsqueeze(1) * components_, centred,
                       (shift * std::sqrt(weight)).to(at::kFloat).unsqueeze(0)});
    mean_ = (mean_ * static_cast<double>(count_) + batch_mean * static_cast<double>(n)) /
            static_cast<double>(count_ + n);
  } else {
    mean_ = batch_mean;
  }
  count_ += n;
  const std::int64_t k = std::min({wanted_, centred.size(0), centred.size(1)});
  const Svd svd =
      randomised_svd(centred, k, generator_, {.oversampling = k + 8, .power_iterations = kPowerIterations});
  components_ = svd.V.t().contiguous();
  singular_values_ = svd.S;
}

at::Tensor IncrementalPca::explained_ratio() const {
  return singular_values_.to(at::kDouble).square() / std::max(square_sum_, 1e-300);
}

}  // namespace lora
