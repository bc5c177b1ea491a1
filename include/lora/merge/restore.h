#pragma once

#include "lora/config/restore_config.h"

namespace lora {

/// `lora-merge restore`: the base of a merged model again, bit by bit; from the base itself, or from an undo
/// file. Never by subtraction, which loses bits.
///
/// mismatch error if the model is not the merged one that the undo file or the base belongs to.
int restore(const RestoreConfig& config);

}  // namespace lora
