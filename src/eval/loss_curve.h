#pragma once

#include <utility>
#include <vector>

#include "eval/variant_spec.h"

namespace lora {

/// Training loss of a run by tokens seen, as means over so many updates that a plot can show them; empty for
/// what is no run or has no metrics.jsonl.
std::vector<std::pair<double, double>> loss_curve(const VariantSpec& spec);

}  // namespace lora
