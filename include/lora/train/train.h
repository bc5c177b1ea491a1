#pragma once

#include "lora/config/train_config.h"

namespace lora {

/// The whole of lora-train: plan, training, run folder. Results on stdout, progress on stderr.
int train(const TrainConfig& config);

}  // namespace lora
