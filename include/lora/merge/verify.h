#pragma once

#include "lora/config/verify_config.h"

namespace lora {

/// `lora-merge verify`: every check on every adapter, whatever fails. Returns the exit code of the first
/// failure, 0 if there is none.
int verify(const VerifyConfig& config);

}  // namespace lora
