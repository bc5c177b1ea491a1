#pragma once

#include "lora/config/inspect_config.h"

namespace lora {

/// `lora-merge inspect`: prints what an adapter folder contains and where it came from. Needs no base model.
int inspect(const InspectConfig& config);

}  // namespace lora
