#pragma once

#include <string>
#include <vector>

#include "eval/loaded_model.h"

namespace lora {

/// Arbitrary tokens in the shapes ROWSxTOKENS. usage error for a malformed one or one beyond the context.
std::vector<ModelInputs> inputs_of_shapes(const std::vector<std::string>& entries, const LoadedModel& model);

}  // namespace lora
