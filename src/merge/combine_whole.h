#pragma once

#include <map>
#include <string>
#include <vector>

#include "lora/model/program.h"
#include "merge/combine_sources.h"

namespace lora {

/// The weights that combined adapters hold whole (V_i, factors c_i), by parameter path, as `rule` says:
///
///   refuse      one holder with factor 1 is taken as it is; anything else is a mismatch error
///   average     sum_i c_i V_i / sum_i c_i over the holders
///   difference  W + sum_i c_i (V_i - W) with the base's W
///
/// Computed in float64 and rounded once. usage error for `difference` without a base.
std::map<std::string, at::Tensor> combine_whole(const std::vector<CombineSource>& sources,
                                                const std::vector<double>& factors, const std::string& rule,
                                                const Program* base);

}  // namespace lora
