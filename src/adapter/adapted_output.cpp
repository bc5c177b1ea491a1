#include "adapter/adapted_output.h"

#include <ATen/ATen.h>

#include <algorithm>

namespace lora {

at::Tensor adapted_output(const Adapter& adapter, const Site* site, const SiteValues& values) {
  at::Tensor output = values.output;
  for (const AdaptedTarget& adapted : adapter.targets) {
    if (adapted.target.site != site) continue;
    SiteValues now{output, values.input, values.weight};
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
