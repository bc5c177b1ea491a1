#pragma once

#include "lora/config/combine_config.h"

namespace lora {

/// `lora-merge combine`: writes one adapter whose updates are the weighted sum, average, TIES or DARE merge
/// of several adapters' updates. Updates are products scale * B A, never sums of factors. Sum and average are
/// exact (the ranks add up) unless a rank is asked for; the other methods work on dense updates, module by
/// module, and are approximated by an SVD, whose error is printed.
///
/// usage error: malformed list; weights that sum to zero (average); output is an input or exists without
/// `overwrite`. mismatch error: adapters of different bases, shapes or kinds (all listed); whole weights that
/// are ambiguous; DoRA without a base model or without a rank.
int combine(const CombineConfig& config);

}  // namespace lora
