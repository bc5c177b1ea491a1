#pragma once

#include <string>
#include <vector>

#include "lora/adapter/method.h"

namespace lora {

/// Names of the ways in which factors can start, as PEFT's init_lora_weights: "default", "gaussian" ...
std::vector<std::string> init_names();

/// The factors A, B that `config.init` starts with at a target whose base weight is `weight` as stored; on
/// the CPU, float32. usage error for an unknown name, or if the target's form does not allow it.
SiteTensors initial_factors(const Target& target, const MethodConfig& config, const at::Tensor& weight,
                            at::Generator& generator);

/// True if B A is not zero at the start, so that it has to be subtracted.
bool starts_off_base(const std::string& init);

}  // namespace lora
