#pragma once

#include <string>
#include <vector>

#include "lora/model/program.h"

namespace lora {

/// SHA-256 over the weights sorted by name: name, dtype, shape and content of each.
std::string fingerprint_weights(const std::vector<Weight>& weights);

}  // namespace lora
