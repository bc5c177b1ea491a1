#pragma once

#include "lora/config/convert_config.h"

namespace lora {

/// `lora-merge convert`: an adapter in another tool's format. What a format cannot say is folded into the
/// tensors where that is exact up to one rounding, and refused with the reason where it is not.
int convert(const ConvertConfig& config);

}  // namespace lora
