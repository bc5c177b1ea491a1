#pragma once

#include "lora/config/score_config.h"

namespace lora {

/// The whole of `lora-eval score`: measures of texts that were generated before, side by side.
int score(const ScoreConfig& config);

}  // namespace lora
