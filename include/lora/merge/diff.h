#pragma once

#include "lora/config/diff_config.h"

namespace lora {

/// `lora-merge diff`: how far two adapters' updates point the same way, module by module. Needs no base
/// model.
///
/// mismatch error listing the modules whose shapes differ.
int diff(const DiffConfig& config);

}  // namespace lora
