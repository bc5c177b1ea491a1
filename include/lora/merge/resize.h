#pragma once

#include "lora/config/resize_config.h"

namespace lora {

/// `lora-merge resize`: writes an adapter whose low-rank updates are the nearest of another rank (truncated
/// SVD of each product, in float64). Every module keeps its scale; a rank at or above the present one keeps
/// the factors bit for bit and pads with zeros. Prints the relative errors.
///
/// usage error: not exactly one of rank, error and energy; output is an input or exists without `overwrite`.
/// mismatch error: a module whose update depends on the base (DoRA).
int resize(const ResizeConfig& config);

}  // namespace lora
