#pragma once

#include <string>

#include "lora/model/program.h"

namespace lora {

/// Sets the type of products as --precision says: "fp32", "bf16", "fp16", or "auto": bfloat16 if it
/// multiplies matrices of the model's width at least kWorthwhile times as fast on this machine, measured in
/// some 50 ms and logged.
void choose_precision(Program& program, const std::string& precision);

}  // namespace lora
