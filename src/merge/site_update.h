#pragma once

#include <vector>

#include "lora/adapter/adapter.h"

namespace lora {

/// All that an adapter does to one site, whose slices may be several targets.
struct SiteUpdate {
  const Site* site;
  std::vector<const AdaptedTarget*> targets;

  /// Sum of the targets' ranks.
  std::int64_t rank() const;
  /// dW [out, in] in float64.
  at::Tensor delta(const Program& program) const;
};

/// Sites in the order of the adapter's targets.
std::vector<SiteUpdate> site_updates(const Adapter& adapter);

/// A site's weight as [out, in], whichever way round it is stored; an embedding as [features, rows].
at::Tensor output_by_input(const Site& site, const at::Tensor& stored);

}  // namespace lora
