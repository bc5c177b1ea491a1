#pragma once

#include <vector>

#include "lora/adapter/adapter.h"
#include "lora/config/train_config.h"

namespace lora {

/// Each target with what the options say about it: rank and alpha, where --rank-pattern or --alpha-pattern
/// has an entry for it that one (the first that matches, as PEFT reads rank_pattern).
///
/// usage error for an entry that is not NAME=VALUE, or that no target matches.
std::vector<ConfiguredTarget> configured_targets(const std::vector<Target>& targets,
                                                 const TrainConfig& config);

/// "lora, rank-stabilised, init pissa": what the variant of a method is called.
std::string variant_name(const TrainConfig& config);

}  // namespace lora
