#pragma once

#include "lora/adapter/method.h"

namespace lora {

// One accessor per method file; methods.cpp lists them.
const Method& lora_method();
const Method& dora_method();
const Method& bottleneck_method();

}  // namespace lora
