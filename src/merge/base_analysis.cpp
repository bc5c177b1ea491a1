#include "merge/base_analysis.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>

#include "lora/kernels/low_rank.h"
#include "merge/site_update.h"
#include "merge/subspace.h"

namespace lora {
namespace {

constexpr std::uint64_t kSeed = 1;
constexpr double kNoDirection = 1e-6;  ///< singular values below this share of the largest are rounding
/// A falling spectrum needs a few more steps than an approximation's error does, for the directions to be
/// right.
constexpr RandomisedSvdOptions kSketch{.oversampling = 16, .power_iterations = 6};

Svd leading(const at::Tensor& matrix, std::int64_t rank) {
  at::Generator generator = at::detail::createCPUGenerator(kSeed);
  const Svd svd = randomised_svd(matrix, rank, generator, kSketch);
  const double floor = svd.S[0].item<double>() * kNoDirection;
  return svd.first(svd.S.gt(floor).sum().item<std::int64_t>());
}

BaseFacts analyse(const SiteUpdate& update, const Program& program) {
  const at::Tensor W =
      output_by_input(*update.site, program.weight(update.site->weight).value.to(at::kDouble));
  const at::Tensor delta = update.delta(program);
  BaseFacts facts;
  facts.module = update.site->path;
  facts.weight_norm = W.norm().item<double>();
  facts.update_norm = delta.norm().item<double>();
  if (facts.update_norm == 0) return facts;
  const Svd change = leading(delta, std::min({update.rank(), W.size(0), W.size(1)}));
  const std::int64_t r = facts.rank = change.S.size(0);
  const Svd base = leading(W, r);
  facts.projected_norm = at::mm(change.U.t(), at::mm(W, change.V)).norm().item<double>();
  facts.random_norm = facts.weight_norm * static_cast<double>(r) / std::sqrt(static_cast<double>(W.numel()));
  facts.own_norm = base.S.norm().item<double>();
  facts.amplification = facts.update_norm / facts.projected_norm;
  const std::int64_t s = base.S.size(0);
  facts.left_similarity = subspace_similarity(change.U, base.U, r, s);
  facts.right_similarity = subspace_similarity(change.V, base.V, r, s);
  facts.left_random = random_similarity(r, s, W.size(0));
  facts.right_random = random_similarity(r, s, W.size(1));
  return facts;
}

}  // namespace

std::vector<BaseFacts> analyse_with_base(const Program& program, const Adapter& adapter) {
  const at::NoGradGuard no_grad;
  std::vector<BaseFacts> facts;
  for (const SiteUpdate& update : site_updates(adapter)) facts.push_back(analyse(update, program));
  return facts;
}

}  // namespace lora
