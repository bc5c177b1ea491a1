#pragma once

#include <set>
#include <string>
#include <vector>

#include "lora/model/program.h"

namespace lora {

/// A path in the file without the wrapper prefix: how adapter files name it.
std::string plain_path(const Program& program, const std::string& path);

/// True if the weight at plain path `weight` belongs to `module`, given as a full path or as its last
/// segments.
bool is_inside_module(const std::string& weight, const std::string& module);

/// Floating-point parameters inside the named modules. usage error listing the names that match nothing, with
/// the nearest; mismatch error for a weight that is tied to another.
std::vector<const Weight*> weights_to_save(const Program& program, const std::vector<std::string>& modules);

/// Bias parameters: "all", or "lora_only" those of `modules` (plain paths); none for "none".
std::vector<const Weight*> biases_of(const Program& program, const std::string& mode,
                                     const std::set<std::string>& modules);

/// mismatch error if replacing this weight alone would change another use of the same tensor.
void refuse_tied(const Program& program, const Weight& weight);

}  // namespace lora
