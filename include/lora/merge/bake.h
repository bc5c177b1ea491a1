#pragma once

#include "lora/config/bake_config.h"

namespace lora {

/// `lora-merge bake`: writes a model file with an adapter's updates added to the weights. The file gets its
/// name only after it was loaded again and its logits agree with the unmerged adapter's. Prints what merging
/// did to each weight.
///
/// usage error: output equals an input, or exists without `overwrite`. mismatch error: the adapter does not
/// fit, is already merged into the model, would change nothing, or merged and unmerged logits differ. Nothing
/// that existed is changed by an error.
int bake(const BakeConfig& config);

}  // namespace lora
