#pragma once

#include <string>

#include "eval/comparison.h"

namespace lora {

/// A comparison as one HTML page without references to anything outside it: tables, plots, examples. All text
/// of data and models is escaped.
std::string html_report(const Comparison& comparison);

}  // namespace lora
