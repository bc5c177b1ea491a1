#include "adapter/adapted_output.h"

#include <ATen/ATen.h>

#include <algorithm>

namespace lora {

at::Tensor target_output(const AdaptedTarget& adapted, const SiteValues& values, bool training) {
  const Method& method = find_method(adapted.config.method);
  if (adapted.origin.empty())
    return method.forward(values, adapted.target, adapted.tensors, adapted.config, training);
  const AdaptedTarget plain = adapted.plain();
  return method.forward(values, plain.target, plain.tensors, plain.config, training);
}

at::Tensor adapted_output(const Adapter& adapter, const Site* site, const SiteValues& values) {
  at::Tensor output = values.output;
  for (const AdaptedTarget& adapted : adapter.targets) {
    if (adapted.target.site != site) continue;
    SiteValues now{output, values.input, values.weight, values.bias};
    output = find_method(adapted.config.method)
                 .forward(now, adapted.target, adapted.tensors, adapted.config, /*training=*/false);
  }
  return output;
}

std::vector<const Site*> adapted_sites(const std::vector<const Adapter*>& adapters) {
  std::vector<const Site*> sites;
  for (const Adapter* adapter : adapters) {
    for (const AdaptedTarget& adapted : adapter->targets) {
      const Site* site = adapted.target.site;
      if (std::find(sites.begin(), sites.end(), site) == sites.end()) sites.push_back(site);
    }
  }
  return sites;
}

}  // namespace lora
