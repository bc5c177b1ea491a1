#pragma once

#include <string>
#include <vector>

#include "lora/adapter/adapter.h"
#include "lora/config/train_config.h"
#include "lora/model/program.h"

namespace lora {

/// True if --targets and the options of updates have a meaning for the method: not for bottleneck, bitfit,
/// layernorm and head, which say themselves what they train.
bool takes_targets(const std::string& method);

/// The ends of the residual branches, whose outputs a bottleneck adapter transforms: MLP outputs, and with
/// placement "houlsby" attention outputs. usage error if the graph shows none.
std::vector<Target> branch_ends(const Program& program, const std::string& placement,
                                const std::string& layers);

/// Modules that --method head trains whole: a classifier's head, and with --layers those layers. usage error
/// if neither is there.
std::vector<std::string> top_modules(const Program& program, const std::string& layers);

/// Trains the weights and biases of norms whole. usage error if there are none.
void add_norms(const Program& program, Adapter& adapter);

/// usage error listing the options that have no meaning for the method.
void refuse_foreign_options(const TrainConfig& config);

}  // namespace lora
