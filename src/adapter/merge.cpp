#include "adapter/merge.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>

#include "lora/base/error.h"
#include "lora/base/text.h"

namespace lora {
namespace {

bool is_finite(const at::Tensor& tensor) { return at::isfinite(tensor).all().item<bool>(); }

void refuse_shared_slots(const Program& program, const Adapter& adapter) {
  for (const AdaptedTarget& adapted : adapter.targets) {
    const Site& site = *adapted.target.site;
    if (site.own_slot) continue;
    std::vector<std::string> others;
    for (const Site& other : program.sites()) {
      if (&other != &site && other.weight == site.weight) others.push_back(other.path);
    }
    throw Error(
        ExitCode::mismatch,
        cat("cannot merge into \"", site.path, "\": the file stores one tensor (", site.weight,
            ") for it and ", join(others, ", "), ", which would change too"),
        "use the adapter unmerged, train one without this target, or export the model with untied weights");
  }
}

/// Rounds `exact` (float64) to the base's dtype and says what that did to the update.
MergedWeight round_once(const Site& site, const at::Tensor& base, const at::Tensor& exact) {
  MergedWeight merged{site.weight, site.path, exact.to(base.scalar_type())};
  if (!is_finite(merged.value)) {
    throw Error(ExitCode::mismatch, cat("merging into \"", site.weight, "\" overflows ", base.dtype().name()),
                "export the model in a type with more range (float32, bfloat16)");
  }
  const at::Tensor update = exact - base, change = merged.value.to(at::kDouble) - base;
  const at::Tensor has_update = update.ne(0);
  const double updates = has_update.sum().item<double>(), norm = update.norm().item<double>();
  merged.largest_change = change.abs().max().item<double>();
  if (updates > 0)
    merged.swallowed_share = has_update.logical_and(change.eq(0)).sum().item<double>() / updates;
  if (norm > 0) merged.norm_lost = (update - change).norm().item<double>() / norm;
  return merged;
}

}  // namespace

void refuse_non_finite(const Adapter& adapter) {
  std::vector<std::string> bad;
  for (const auto& [name, tensor] : adapter.tensors()) {
    if (!is_finite(*tensor)) bad.push_back(name);
  }
  if (bad.empty()) return;
  throw Error(ExitCode::file,
              cat("the adapter has ", bad.size(), " tensors with NaN or Inf: ", join(bad, ", ")),
              "it comes from a diverged training or is damaged: use an earlier one");
}

std::vector<MergedWeight> merge_targets(const Program& program, const Adapter& adapter) {
  const at::NoGradGuard no_grad;
  refuse_non_finite(adapter);
  refuse_shared_slots(program, adapter);
  std::vector<MergedWeight> merged;
  for (const AdaptedTarget& first : adapter.targets) {
    const Site& site = *first.target.site;
    const bool done = std::any_of(merged.begin(), merged.end(),
                                  [&](const MergedWeight& each) { return each.path == site.weight; });
    if (done) continue;
    const at::Tensor& base = program.weight(site.weight).value;
    at::Tensor exact = base.to(at::kDouble);
    for (const AdaptedTarget& adapted : adapter.targets) {
      if (adapted.target.site->weight != site.weight) continue;
      exact = find_method(adapted.config.method)
                  .effective_weight(exact, adapted.target, adapted.tensors, adapted.config);
    }
    merged.push_back(round_once(site, base, exact));
  }
  return merged;
}

void refuse_no_change(const Program& program, const Adapter& adapter,
                      const std::vector<MergedWeight>& merged) {
  const bool any_merged =
      std::any_of(merged.begin(), merged.end(), [](const auto& each) { return each.changed(); });
  const bool any_saved = std::any_of(
      adapter.saved_weights.begin(), adapter.saved_weights.end(),
      [&](const auto& entry) { return !at::equal(entry.second, program.weight(entry.first).value); });
  if (any_merged || any_saved) return;
  throw Error(ExitCode::mismatch,
              cat("merging would change nothing: none of ", merged.size(), " weights gets another value"),
              "the adapter is untrained, or its update is below the resolution of the base's number type");
}

std::map<std::string, at::Tensor> merged_weights(const Program& program, const Adapter& adapter) {
  const auto merged = merge_targets(program, adapter);
  refuse_no_change(program, adapter, merged);
  std::map<std::string, at::Tensor> weights = adapter.saved_weights;
  for (const MergedWeight& each : merged) weights[each.path] = each.value;
  return weights;
}

}  // namespace lora
