#include "merge/extraction.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "adapter/saved_modules.h"
#include "lora/base/error.h"
#include "lora/base/text.h"
#include "merge/site_update.h"

namespace lora {
namespace {

std::string module_of(const std::string& weight) {
  const auto dot = weight.rfind('.');
  return dot == std::string::npos ? weight : weight.substr(0, dot);
}

class Extractor {
 public:
  Extractor(const ModelWeights& base, const ModelWeights& tuned, MatrixFitter& fitter)
      : base_(base), tuned_(tuned), fitter_(fitter) {}

  Extraction run(const std::vector<Target>& targets, bool whole) {
    for (const Target& target : targets) extract_target(*target.site);
    compare_others();
    if (whole) store_whole();
    if (!result_.modules.empty() || !result_.whole.empty()) return std::move(result_);
    std::vector<std::string> lines;
    for (const UncoveredChange& change : result_.uncovered) lines.push_back("  " + printable(change.weight));
    throw Error(ExitCode::mismatch,
                cat("none of the ", targets.size(), " targets differs between \"", base_.path().string(),
                    "\" and \"", tuned_.path().string(), "\"",
                    lines.empty() ? "" : "; these other weights do:\n", join(lines, "\n")),
                lines.empty() ? "give the fine-tuned model as --tuned and its base as --base"
                              : "name their modules in --targets, or store them by --whole");
  }

 private:
  at::Tensor change(const std::string& weight) const {
    return tuned_.load(weight).to(at::kFloat) - base_.load(weight).to(at::kFloat);
  }

  void extract_target(const Site& site) {
    if (!covered_.insert(site.weight).second) {
      throw Error(ExitCode::mismatch,
                  cat("\"", site.path, "\" and another target are one tied weight (", site.weight,
                      ") and cannot both be adapted"),
                  cat("leave one out: --exclude ", site.path));
    }
    adapted_.insert(site.path);
    const LowRankFit fit = fitter_.fit(output_by_input(site, change(site.weight)).contiguous());
    if (fit.norm == 0) return result_.unchanged.push_back(site.path);
    // The weight's other use keeps the base's values.
    if (base_.facts().at(site.weight).tied) result_.uncovered.push_back({site.weight, fit.norm});
    ModuleUpdate module;
    module.module = site.path;
    module.embedding = site.kind == SiteKind::embedding;
    module.A = fit.A;
    module.B = fit.B;
    module.config = {"lora", fit.A.size(0), 1, 0};
    module.config.set_scale(1);
    result_.has_conv1d |= site.kind == SiteKind::conv1d;
    result_.fits.push_back({site.path, fit.A.size(0), fit.norm, fit.lost});
    result_.modules.push_back(std::move(module));
  }

  void compare_others() {
    for (const auto& [weight, facts] : base_.facts()) {
      if (covered_.count(weight)) continue;
      const double norm =
          at::linalg_vector_norm(change(weight), 2, std::nullopt, false, at::kDouble).item<double>();
      if (norm != 0) result_.uncovered.push_back({weight, norm});
    }
  }

  /// A module can be stored if no target is in it; then all its parameters are.
  void store_whole() {
    std::set<std::string> modules;
    for (UncoveredChange& change : result_.uncovered) {
      const std::string module = module_of(change.weight);
      change.stored = base_.facts().at(change.weight).trainable && !covered_.count(change.weight) &&
                      !adapted_.count(module);
      if (change.stored) modules.insert(module);
    }
    std::vector<std::string> tied;
    for (const auto& [weight, facts] : base_.facts()) {
      const bool inside = std::any_of(modules.begin(), modules.end(), [&](const std::string& module) {
        return is_inside_module(weight, module);
      });
      if (!inside || !facts.trainable) continue;
      if (facts.tied) tied.push_back("  " + printable(weight));
      result_.whole[weight] = tuned_.load(weight).contiguous();
    }
    if (!tied.empty()) {
      throw Error(ExitCode::mismatch,
                  cat(tied.size(), " changed weights serve several modules and cannot be stored whole\n",
                      join(tied, "\n")),
                  "name one of their modules in --targets (embed_tokens), or leave out --whole");
    }
    result_.modules_to_save.assign(modules.begin(), modules.end());
  }

  const ModelWeights &base_, &tuned_;
  MatrixFitter& fitter_;
  Extraction result_;
  std::set<std::string> covered_;  ///< weights of targets
  std::set<std::string> adapted_;  ///< modules of targets
};

}  // namespace

double Extraction::lost_share() const {
  double all = 0, lost = 0;
  for (const ModuleFit& fit : fits) {
    all += fit.norm * fit.norm;
    lost += fit.lost * fit.lost;
  }
  for (const UncoveredChange& change : uncovered) {
    all += change.norm * change.norm;
    if (!change.stored) lost += change.norm * change.norm;
  }
  return all > 0 ? std::sqrt(lost / all) : 0;
}

void refuse_different_models(const ModelWeights& base, const ModelWeights& tuned) {
  std::vector<std::string> lines;
  for (const auto& [weight, facts] : base.facts()) {
    const auto other = tuned.facts().find(weight);
    if (other == tuned.facts().end())
      lines.push_back(cat("  ", printable(weight), ": only in the base"));
    else if (other->second.shape != facts.shape)
      lines.push_back(cat("  ", printable(weight), ": [", join(facts.shape, ", "), "] in the base, [",
                          join(other->second.shape, ", "), "] in the tuned model"));
  }
  for (const auto& [weight, facts] : tuned.facts()) {
    if (!base.facts().count(weight))
      lines.push_back(cat("  ", printable(weight), ": only in the tuned model"));
  }
  const auto classes = base.provenance().labels, others = tuned.provenance().labels;
  if (!classes.empty() && !others.empty() && classes != others)
    lines.push_back(printable(cat("  classes: ", join(classes, ", "), " in the base, ", join(others, ", "),
                                  " in the tuned model")));
  if (lines.empty()) return;
  throw Error(ExitCode::mismatch,
              cat("\"", base.path().string(), "\" and \"", tuned.path().string(),
                  "\" are different models: ", lines.size(), " mismatches\n", join(lines, "\n")),
              "give the model that was fine-tuned as --base");
}

Extraction extract_difference(const ModelWeights& base, const ModelWeights& tuned,
                              const std::vector<Target>& targets, MatrixFitter& fitter, bool whole) {
  const at::NoGradGuard no_grad;
  return Extractor(base, tuned, fitter).run(targets, whole);
}

}  // namespace lora
