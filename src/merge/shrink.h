#pragma once

#include "lora/checkpoint/adapter_folder.h"
#include "merge/base_report.h"

namespace lora {

/// The adapter whose merged weights have their intruder dimensions scaled by `factor` (arXiv:2410.21228,
/// section 5): dW' = dW + (factor - 1) sum over intruders of sigma u v^T. Exact: each intruder becomes one
/// more rank of its module. mismatch error for modules that are no plain low-rank update.
AdapterFolder shrink_intruders(const AdapterFolder& folder, const ModuleIntruders& intruders, double factor);

}  // namespace lora
