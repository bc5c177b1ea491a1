#include "merge/combine_updates.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>
#include <list>

#include "merge/site_update.h"
#include "merge/slice_parts.h"

namespace lora {
namespace {

/// One source's part of a module and what its B A is multiplied by.
struct Term {
  SlicePart part;
  double factor;
};

/// The terms of one module, those of one slice next to each other.
std::vector<std::vector<Term>> terms_by_slice(const std::string& module,
                                              const std::vector<CombineSource>& sources,
                                              const std::vector<double>& factors) {
  std::vector<std::vector<Term>> slices;
  for (std::size_t i = 0; i < sources.size(); ++i) {
    const auto update = sources[i].updates.find(module);
    if (update == sources[i].updates.end()) continue;
    for (SlicePart& part : parts_of(update->second, sources[i].folder)) {
      auto slice = std::find_if(slices.begin(), slices.end(),
                                [&](const auto& terms) { return terms.front().part.slice == part.slice; });
      if (slice == slices.end()) slice = slices.insert(slices.end(), std::vector<Term>());
      slice->push_back({std::move(part), factors[i] * update->second.scale()});
    }
  }
  return slices;
}

/// [A_1; A_2; ...] and [f_1 / s B_1, f_2 / s B_2, ...] in float64.
SlicePart side_by_side(const std::vector<Term>& terms, double scale) {
  std::vector<at::Tensor> down, up;
  for (const Term& term : terms) {
    down.push_back(term.part.A.to(at::kDouble));
    up.push_back(term.part.B.to(at::kDouble) * (term.factor / scale));
  }
  return {terms.front().part.slice, at::cat(down, 0), at::cat(up, 1)};
}

/// The first source's description of a module, for a plain result.
ModuleUpdate description(const std::string& module, const std::vector<CombineSource>& sources) {
  const auto first = std::find_if(sources.begin(), sources.end(), [&](const CombineSource& source) {
    return source.updates.count(module) > 0;
  });
  ModuleUpdate update;
  update.module = module;
  update.embedding = first->updates.at(module).embedding;
  update.config = {"lora", 1, 1, 0};
  return update;
}

void add_module(CombinedUpdates& combined, const ModuleUpdate& like, const std::vector<SlicePart>& parts,
                double scale) {
  combined.modules.push_back(join_parts(like, parts, scale));
  if (auto blocks = blocks_of(parts); !blocks.empty()) combined.blocks[like.module] = std::move(blocks);
}

bool keeps_bits(double factor) {
  int exponent = 0;
  return std::abs(std::frexp(factor, &exponent)) == 0.5;
}

/// Dense updates of all sources: products, or differences of effective weights where a base is given.
class DenseUpdates {
 public:
  DenseUpdates(const std::vector<CombineSource>& sources, const Program* base)
      : sources_(sources), base_(base) {
    if (!base) return;
    for (const CombineSource& source : sources) {
      const Adapter& adapter = adapters_.emplace_back(fit_adapter(source.folder, *base));
      sites_.emplace_back();
      for (SiteUpdate& update : site_updates(adapter))
        sites_.back().emplace(update.site->path, std::move(update));
    }
  }

  /// [out, in], float32.
  at::Tensor of(std::size_t source, const std::string& module) const {
    const ModuleUpdate& update = sources_[source].updates.at(module);
    if (update.config.method != "lora") return sites_[source].at(module).delta(*base_).to(at::kFloat);
    return at::mm(update.B.to(at::kFloat) * update.scale(), update.A.to(at::kFloat));
  }

 private:
  const std::vector<CombineSource>& sources_;
  const Program* base_;
  std::list<Adapter> adapters_;  ///< stay where they are: sites_ point into them
  std::vector<std::map<std::string, SiteUpdate>> sites_;
};

}  // namespace

CombinedUpdates concatenate(const std::vector<CombineSource>& sources, const std::vector<double>& factors) {
  const at::NoGradGuard no_grad;
  CombinedUpdates combined;
  for (const std::string& module : modules_of(sources)) {
    const auto slices = terms_by_slice(module, sources, factors);
    const double scale = std::abs(slices.front().front().factor);
    std::vector<SlicePart> parts;
    for (const std::vector<Term>& terms : slices) {
      parts.push_back(side_by_side(terms, scale));
      for (const Term& term : terms) combined.folded += !keeps_bits(term.factor / scale);
    }
    add_module(combined, description(module, sources), parts, scale);
  }
  return combined;
}

CombinedUpdates concatenate_and_truncate(const std::vector<CombineSource>& sources,
                                         const std::vector<double>& factors, std::int64_t rank) {
  const at::NoGradGuard no_grad;
  CombinedUpdates combined;
  for (const std::string& module : modules_of(sources)) {
    ModuleFit fit{module, 0, 0, 0};
    std::vector<SlicePart> parts;
    for (const std::vector<Term>& terms : terms_by_slice(module, sources, factors)) {
      const SlicePart exact = side_by_side(terms, 1);
      const RankChoice choice{std::min(rank, exact.A.size(0)), 0};
      const LowRankFit truncated = fit_product(exact.B, exact.A, choice);
      parts.push_back({exact.slice, truncated.A, truncated.B});
      fit.norm = std::hypot(fit.norm, truncated.norm);
      fit.lost = std::hypot(fit.lost, truncated.lost);
    }
    add_module(combined, description(module, sources), parts, 1);
    fit.rank = combined.modules.back().config.rank;
    combined.fits.push_back(fit);
  }
  return combined;
}

CombinedUpdates merge_dense(const std::vector<CombineSource>& sources, const std::vector<double>& factors,
                            const DenseOptions& options, const Program* base) {
  const at::NoGradGuard no_grad;
  const DenseUpdates dense(sources, base);
  at::Generator generator = at::detail::createCPUGenerator(options.seed);
  CombinedUpdates combined;
  for (const std::string& module : modules_of(sources)) {
    std::vector<at::Tensor> updates;
    std::vector<double> own_factors;
    std::int64_t rank = 0;
    for (std::size_t i = 0; i < sources.size(); ++i) {
      if (!sources[i].updates.count(module)) continue;
      updates.push_back(dense.of(i, module));
      own_factors.push_back(factors[i]);
      rank = std::max(rank, sources[i].updates.at(module).config.rank);
    }
    MatrixFitter fitter({options.rank.value_or(rank), 0}, options.exact, options.seed);
    const LowRankFit fit = fitter.fit(merge_task_vectors(options.merge, updates, own_factors, generator));
    add_module(combined, description(module, sources), {{"", fit.A, fit.B}}, 1);
    combined.fits.push_back({module, combined.modules.back().config.rank, fit.norm, fit.lost});
  }
  return combined;
}

}  // namespace lora
