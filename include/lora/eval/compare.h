#pragma once

#include "lora/config/eval_config.h"

namespace lora {

/// The whole of `lora-eval compare`: every variant on the same data, one table on stdout.
int compare(const CompareConfig& config);

}  // namespace lora
