#pragma once

#include <vector>

#include "model/lowering.h"
#include "model/sites.h"
#include "model/tracer.h"

namespace lora {

/// Finds which output features of the fused projections `fused` (indices into `sites`) become query, key and
/// value, by sending the feature numbers themselves through the views, splits and transposes behind the
/// projection. Any layout works: contiguous thirds (GPT-2), per-head interleaving (GPT-NeoX), unequal parts
/// (grouped queries). Sites whose parts overlap or cannot be followed keep no slices. `recorded` is a run of
/// the graph on a small probe.
void find_slices(const Lowered& lowered, const RecordedValues& recorded,
                 const std::vector<std::size_t>& fused, std::vector<LocatedSite>& sites);

}  // namespace lora
