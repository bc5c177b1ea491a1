#pragma once

#include "lora/adapter/adapter.h"

namespace lora {

/// The site's output with one target; `training` turns dropout on.
at::Tensor target_output(const AdaptedTarget& adapted, const SiteValues& values, bool training);

/// The same as one projection, where it is one (Method::projection).
std::optional<Projection> target_projection(const AdaptedTarget& adapted, const SiteValues& values,
                                            bool training);

/// A site's output with all of the adapter's targets there; the frozen output if there are none. Without
/// dropout.
at::Tensor adapted_output(const Adapter& adapter, const Site* site, const SiteValues& values);

/// All sites that any of the adapters changes, each once, in the order of their targets.
std::vector<const Site*> adapted_sites(const std::vector<const Adapter*>& adapters);

}  // namespace lora
