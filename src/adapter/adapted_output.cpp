#include "adapter/adapted_output.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "adapter/token_rows.h"

namespace lora {

namespace {

/// What `ask` says of a target's method, once its start is among its factors.
template <class Ask>
auto of_plain(const AdaptedTarget& adapted, const Ask& ask) {
  const Method& method = find_method(adapted.config.method);
  return adapted.origin.empty() ? ask(method, adapted) : ask(method, adapted.plain());
}

}  // namespace

at::Tensor target_output(const AdaptedTarget& adapted, const SiteValues& values, bool training) {
  return of_plain(adapted, [&](const Method& method, const AdaptedTarget& plain) {
    return method.forward(values, plain.target, plain.tensors, plain.config, training);
  });
}

std::optional<Projection> target_projection(const AdaptedTarget& adapted, const SiteValues& values,
                                            bool training) {
  return of_plain(adapted, [&](const Method& method, const AdaptedTarget& plain) {
    return method.projection(values, plain.target, plain.tensors, plain.config, training);
  });
}

at::Tensor adapted_output(const Adapter& adapter, const Site* site, const SiteValues& values) {
  at::Tensor output = values.output;
  for (const AdaptedTarget& adapted : adapter.targets) {
    if (adapted.target.site != site) continue;
    output = target_output(adapted, {output, values.input, values.weight, values.bias}, /*training=*/false);
  }
  for (const TokenRows& rows : adapter.token_rows) {
    if (std::find(rows.sites.begin(), rows.sites.end(), site) == rows.sites.end()) continue;
    output = token_output(rows, *site, {output, values.input, values.weight, values.bias});
  }
  return output;
}

std::vector<const Site*> adapted_sites(const std::vector<const Adapter*>& adapters) {
  std::vector<const Site*> sites;
  const auto add = [&](const Site* site) {
    if (std::find(sites.begin(), sites.end(), site) == sites.end()) sites.push_back(site);
  };
  for (const Adapter* adapter : adapters) {
    for (const AdaptedTarget& adapted : adapter->targets) add(adapted.target.site);
    for (const TokenRows& rows : adapter->token_rows)
      std::for_each(rows.sites.begin(), rows.sites.end(), add);
  }
  return sites;
}

}  // namespace lora
