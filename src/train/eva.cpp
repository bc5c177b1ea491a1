#include "train/eva.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "lora/base/error.h"
#include "lora/base/log.h"
#include "lora/base/text.h"
#include "train/incremental_pca.h"
#include "train/loss_gradient.h"

namespace lora {
namespace {

constexpr const char *kA = "lora_A.weight", *kB = "lora_B.weight";

bool takes_part(const AdaptedTarget& adapted) { return adapted.tensors.count(kA) > 0; }

/// Principal components of what the sites see. Sites that see one tensor (query, key, value) share theirs.
class InputComponents {
 public:
  InputComponents(const Program& program, const std::map<const Site*, std::int64_t>& wanted,
                  std::uint64_t seed)
      : wanted_(wanted), seed_(seed) {
    std::vector<HookedSite> hooks;
    for (const auto& [site, count] : wanted)
      hooks.push_back({site, [this, site = site](const SiteValues& values) { return see(site, values); }});
    executable_.emplace(program.executable(std::move(hooks)));
  }

  void add(const Batch& batch) {
    const at::NoGradGuard no_grad;
    seen_now_.clear();
    real_ = batch.inputs.attention_mask.defined() ? batch.inputs.attention_mask.flatten().to(at::kBool)
                                                  : at::Tensor();
    executable_->logits(batch.inputs);
    for (auto& [input, leader] : seen_now_) pca_.at(leader).add(rows_of(input));
  }

  const IncrementalPca& of(const Site* site) const { return pca_.at(leader_.at(site)); }

 private:
  at::Tensor see(const Site* site, const SiteValues& values) {
    const auto same = std::find_if(seen_now_.begin(), seen_now_.end(),
                                   [&](const auto& seen) { return seen.first.is_same(values.input); });
    if (!leader_.count(site)) {
      leader_[site] = same != seen_now_.end() ? same->second : site;
      if (leader_[site] == site) pca_.emplace(site, IncrementalPca(most_wanted(), seed_));
    }
    if (leader_[site] == site) seen_now_.emplace_back(values.input, site);
    return values.output;
  }

  std::int64_t most_wanted() const {
    std::int64_t most = 1;
    for (const auto& [site, count] : wanted_) most = std::max(most, count);
    return most;
  }

  /// [n, in] without the padding, where the positions of the batch are still those of the input.
  at::Tensor rows_of(const at::Tensor& input) const {
    const at::Tensor rows = input.reshape({-1, input.size(-1)}).to(at::kFloat).cpu();
    if (!real_.defined() || real_.size(0) != rows.size(0)) return rows;
    return rows.index_select(0, real_.cpu().nonzero().flatten());
  }

  std::map<const Site*, std::int64_t> wanted_;
  std::uint64_t seed_;
  std::optional<Executable> executable_;
  std::map<const Site*, const Site*> leader_;  ///< the site whose components are this one's, too
  std::map<const Site*, IncrementalPca> pca_;
  std::vector<std::pair<at::Tensor, const Site*>> seen_now_;
  at::Tensor real_;
};

/// How many components each target gets: the `budget` largest shares of explained variance of all, ties to
/// the first.
std::vector<std::int64_t> distribute(const std::vector<at::Tensor>& ratios, std::int64_t budget) {
  struct Share {
    double ratio;
    std::size_t target;
  };
  std::vector<Share> shares;
  for (std::size_t i = 0; i < ratios.size(); ++i) {
    for (std::int64_t k = 0; k < ratios[i].size(0); ++k) shares.push_back({ratios[i][k].item<double>(), i});
  }
  std::stable_sort(shares.begin(), shares.end(),
                   [](const Share& a, const Share& b) { return a.ratio > b.ratio; });
  std::vector<std::int64_t> counts(ratios.size());
  const std::size_t chosen = std::min(shares.size(), static_cast<std::size_t>(budget));
  for (std::size_t i = 0; i < chosen; ++i) ++counts[shares[i].target];
  return counts;
}

/// The target with so many of the components as A, and B zero; its scale stays.
void start_with(AdaptedTarget& adapted, const at::Tensor& components, std::int64_t rank) {
  const double scale = adapted.config.scale();
  adapted.config.rank = rank;
  adapted.config.set_scale(scale);
  at::Tensor &A = adapted.tensors.at(kA), &B = adapted.tensors.at(kB);
  A = components.narrow(0, 0, rank).clone().to(A.device());
  B = at::zeros({B.size(0), rank}, B.options());
}

}  // namespace

void initialise_eva(const Session& session, const Sampler& sampler, Adapter& adapter) {
  const at::NoGradGuard no_grad;
  const TrainConfig& config = session.config;
  std::map<const Site*, std::int64_t> wanted;
  std::int64_t budget = 0;
  for (const AdaptedTarget& adapted : adapter.targets) {
    if (!takes_part(adapted)) continue;
    const auto most = std::min(adapted.target.in(), adapted.target.out());
    const auto count =
        std::min<std::int64_t>(most, std::llround(static_cast<double>(adapted.config.rank) * config.eva_rho));
    wanted[adapted.target.site] = std::max(wanted[adapted.target.site], count);
    budget += adapted.config.rank;
  }
  if (wanted.empty())
    throw Error(ExitCode::usage, "--init eva needs a linear target", "embeddings have no input features");
  InputComponents inputs(session.model.program, wanted, static_cast<std::uint64_t>(config.seed));
  const std::int64_t updates = std::min(config.eva_batches, sampler.updates_per_epoch());
  for (std::int64_t number = 0; number < updates; ++number) {
    for (const auto& rows : sampler.update(number).micro_batches)
      inputs.add(micro_batch(session, rows, Layout::padded));
  }

  std::vector<AdaptedTarget*> targets;
  std::vector<at::Tensor> ratios;
  for (AdaptedTarget& adapted : adapter.targets) {
    if (!takes_part(adapted)) continue;
    const IncrementalPca& pca = inputs.of(adapted.target.site);
    const std::int64_t count = std::min(wanted.at(adapted.target.site), pca.components().size(0));
    if (count < adapted.config.rank) {
      throw Error(ExitCode::data,
                  cat("--init eva saw ", pca.rows_seen(), " tokens at ", adapted.target.name(),
                      ", too few for rank ", adapted.config.rank),
                  "raise --eva-batches, or give more rows");
    }
    targets.push_back(&adapted);
    ratios.push_back(pca.explained_ratio().narrow(0, 0, count));
  }
  const bool redistributes = config.eva_rho > 1;
  const std::vector<std::int64_t> counts =
      redistributes ? distribute(ratios, budget) : std::vector<std::int64_t>();
  std::int64_t left_out = 0;
  for (std::size_t i = 0; i < targets.size(); ++i) {
    const std::int64_t rank = redistributes ? counts[i] : targets[i]->config.rank;
    if (rank == 0) {
      targets[i]->tensors.clear();
      ++left_out;
      continue;
    }
    start_with(*targets[i], inputs.of(targets[i]->target.site).components(), rank);
  }
  std::erase_if(adapter.targets, [](const AdaptedTarget& adapted) { return adapted.tensors.empty(); });
  log_info("train", "EVA: A from the inputs of ", updates, " updates",
           redistributes ? cat("; ", budget, " ranks shared out, ", left_out, " targets get none")
                         : std::string());
}

}  // namespace lora
