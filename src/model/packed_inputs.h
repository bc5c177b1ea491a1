#pragma once

#include <ATen/core/ivalue.h>

#include <vector>

#include "lora/model/program.h"

namespace lora {

/// What the method `packed` takes for documents in one row: ids [1, T], a mask [1, 1, T, T] under which each
/// document sees itself causally, and positions [1, T] that start again with each. internal error if the
/// lengths do not add up.
std::vector<c10::IValue> packed_inputs(const ModelInputs& inputs);

}  // namespace lora
