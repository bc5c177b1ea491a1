#pragma once

#include "lora/config/generate_config.h"

namespace lora {

/// The whole of `lora-eval generate`: answers of one resident base with several adapters, in common batches.
int generate(const GenerateConfig& config);

}  // namespace lora
