#include "merge/intruders.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include "lora/kernels/low_rank.h"

namespace lora {

std::vector<Intruder> find_intruders(const at::Tensor& base, const at::Tensor& tuned,
                                     IntruderOptions options) {
  const at::NoGradGuard no_grad;
  const Svd before = full_svd(base.to(at::kFloat));
  const Svd after = full_svd(tuned.to(at::kFloat)).first(options.examined);
  const at::Tensor closest = std::get<0>(at::mm(before.U.t(), after.U).abs().max(0));
  std::vector<Intruder> intruders;
  for (std::int64_t i = 0; i < closest.size(0); ++i) {
    const double cosine = closest[i].item<double>();
    if (cosine >= options.threshold) continue;
    intruders.push_back(
        {i, after.S[i].item<double>(), cosine, after.U.select(1, i).clone(), after.V.select(1, i).clone()});
  }
  return intruders;
}

}  // namespace lora
