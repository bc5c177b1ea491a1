#include "merge/site_update.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>

#include "adapter/merge.h"

namespace lora {

std::int64_t SiteUpdate::rank() const {
  std::int64_t sum = 0;
  for (const AdaptedTarget* adapted : targets) sum += adapted->config.rank;
  return sum;
}

at::Tensor SiteUpdate::delta(const Program& program) const {
  const at::NoGradGuard no_grad;
  const at::Tensor base = program.weight(site->weight).value.to(at::kDouble);
  return output_by_input(*site, updated_weight(base, targets) - base);
}

std::vector<SiteUpdate> site_updates(const Adapter& adapter) {
  std::vector<SiteUpdate> updates;
  for (const AdaptedTarget& adapted : adapter.targets) {
    const auto known = std::find_if(updates.begin(), updates.end(),
                                    [&](const SiteUpdate& each) { return each.site == adapted.target.site; });
    if (known == updates.end())
      updates.push_back({adapted.target.site, {&adapted}});
    else
      known->targets.push_back(&adapted);
  }
  return updates;
}

at::Tensor output_by_input(const Site& site, const at::Tensor& stored) {
  return site.kind == SiteKind::linear ? stored : stored.t();
}

}  // namespace lora
