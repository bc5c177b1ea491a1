#pragma once

#include <string>
#include <string_view>

#include "lora/checkpoint/safetensors.h"

namespace lora {

/// The tensors of a state dict that torch.save wrote, by name; of nested dictionaries "outer.inner". Its
/// pickle is read by a machine of our own that knows dictionaries, lists, numbers, strings and plain CPU
/// tensors, and calls nothing. file error for anything else.
TensorMap read_torch_state(std::string_view archive, const std::string& place);

/// A file that torch.load(weights_only=True) reads as a dictionary of these tensors.
std::string write_torch_state(const TensorMap& tensors);

}  // namespace lora
