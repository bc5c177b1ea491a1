#include "lora/adapter/adapter.h"

#include <ATen/ATen.h>

#include <map>

#include "adapter/adapted_output.h"
#include "adapter/factors.h"
#include "adapter/token_rows.h"
#include "lora/base/error.h"
#include "lora/base/text.h"

namespace lora {
namespace {

template <class TensorPointer, class AnyAdapter>
std::vector<std::pair<std::string, TensorPointer>> named_tensors(AnyAdapter& adapter) {
  std::vector<std::pair<std::string, TensorPointer>> all;
  for (auto& adapted : adapter.targets) {
    for (auto& [leaf, tensor] : adapted.tensors) {
      if (adapted.config.freeze_a && is_random_factor(leaf)) continue;
      all.emplace_back(cat(adapted.target.name(), ".", leaf), &tensor);
    }
  }
  for (auto& [path, tensor] : adapter.saved_weights) all.emplace_back(path, &tensor);
  for (auto& rows : adapter.token_rows) all.emplace_back(rows.module + ".tokens", &rows.values);
  return all;
}

}  // namespace

std::vector<std::pair<std::string, at::Tensor*>> Adapter::tensors() {
  return named_tensors<at::Tensor*>(*this);
}

std::vector<std::pair<std::string, const at::Tensor*>> Adapter::tensors() const {
  return named_tensors<const at::Tensor*>(*this);
}

std::int64_t Adapter::parameter_count() const {
  std::int64_t count = 0;
  for (const auto& [name, tensor] : tensors()) count += tensor->numel();
  return count;
}

AdaptedTarget AdaptedTarget::plain() const {
  if (origin.empty()) return *this;
  AdaptedTarget both = *this;
  both.origin.clear();
  for (const auto& [leaf, start] : origin) {
    at::Tensor& factor = both.tensors.at(leaf);
    // Of A [r, in] the rows double, of B [out, r] the columns; one of them is subtracted.
    const bool is_a = &factor == &factor_a(both.tensors);
    factor = is_a ? at::cat({factor, start}, 0) : at::cat({factor, -start}, 1);
  }
  const double scale = config.scale();
  both.config.rank *= 2;
  both.config.set_scale(scale);
  return both;
}

std::vector<HookedSite> make_hooks(const Adapter& adapter, const bool& training) {
  std::vector<HookedSite> hooks;
  std::map<const Site*, int> hooks_at;
  for (const AdaptedTarget& adapted : adapter.targets) ++hooks_at[adapted.target.site];
  for (const TokenRows& rows : adapter.token_rows)
    for (const Site* site : rows.sites) ++hooks_at[site];
  for (std::size_t i = 0; i < adapter.targets.size(); ++i) {
    const AdaptedTarget& now = adapter.targets[i];
    const auto in_place = [&adapter, i, site = now.target.site]() -> const AdaptedTarget& {
      const AdaptedTarget& adapted = adapter.targets.at(i);
      if (adapted.target.site == site) return adapted;
      throw Error(ExitCode::internal,
                  cat("the adapter in place has no target ", site->path, " at number ", i));
    };
    HookedSite hooked{now.target.site, [in_place, &training](const SiteValues& values) {
                        return target_output(in_place(), values, training);
                      }};
    hooked.projection = [in_place, &training](const SiteValues& values) {
      return target_projection(in_place(), values, training);
    };
    hooked.computes_site =
        hooks_at[now.target.site] == 1 && find_method(now.config.method).computes_site(now.target);
    hooks.push_back(std::move(hooked));
  }
  for (std::size_t i = 0; i < adapter.token_rows.size(); ++i) {
    for (const Site* site : adapter.token_rows[i].sites) {
      hooks.push_back({site, [&adapter, i, site](const SiteValues& values) {
                         return token_output(adapter.token_rows.at(i), *site, values);
                       }});
    }
  }
  return hooks;
}

std::vector<HookedSite> make_hooks(const AdapterMix& mix) {
  std::vector<const Adapter*> adapters;
  for (const WeightedAdapter& each : mix) adapters.push_back(each.adapter);
  std::vector<HookedSite> hooks;
  for (const Site* site : adapted_sites(adapters)) {
    hooks.push_back({site, [mix, site](const SiteValues& values) {
                       at::Tensor sum = values.output;
                       for (const auto& [adapter, weight] : mix)
                         sum = sum + (adapted_output(*adapter, site, values) - values.output) * weight;
                       return sum;
                     }});
  }
  return hooks;
}

}  // namespace lora
