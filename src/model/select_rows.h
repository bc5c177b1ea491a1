#pragma once

#include <torch/csrc/jit/ir/ir.h>

#include <memory>

#include "model/uses.h"

namespace lora {

/// Lets a language model's head see chosen positions only: before the output projection inserts flatten(h, 0,
/// -2) and index_select(., 0, positions) with `positions` a new last graph input, so that the graph returns
/// [n, vocabulary]. `head.input` becomes those rows. What follows the head must not depend on the shape; the
/// caller checks that on a probe.
void select_rows_before(SiteUse& head);

}  // namespace lora
