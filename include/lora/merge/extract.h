#pragma once

#include "lora/config/extract_config.h"

namespace lora {

/// `lora-merge extract`: writes a LoRA of the difference between a fully fine-tuned model and its base, the
/// nearest of its rank for every target (SVD, one tensor at a time). Prints the relative errors, and what
/// changed outside the targets.
///
/// usage error: not exactly one of rank, error and energy; output is an input or exists without `overwrite`;
/// targets that match nothing. mismatch error: models of different structure (all differences listed), or no
/// target differs.
int extract(const ExtractConfig& config);

}  // namespace lora
