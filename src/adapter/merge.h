#pragma once

#include <string>
#include <vector>

#include "lora/adapter/adapter.h"

namespace lora {

/// A base weight with the updates of all targets at it summed in, and what rounding did to them.
struct MergedWeight {
  std::string path;            ///< in the file
  std::string module;          ///< Site::path
  at::Tensor value;            ///< in the base weight's dtype
  double largest_change = 0;   ///< max |merged - base|
  double swallowed_share = 0;  ///< of the elements with an update: share that kept the base's value
  double norm_lost = 0;        ///< |update - (merged - base)| / |update|, Frobenius
  bool changed() const { return largest_change > 0; }
};

/// file error naming the tensors with NaN or Inf.
void refuse_non_finite(const Adapter& adapter);

/// Each adapted weight once, in the order of the targets. Updates are summed in float64 and rounded once.
/// file error as refuse_non_finite; mismatch error for a weight that other sites read from the same slot, or
/// that would overflow.
std::vector<MergedWeight> merge_targets(const Program& program, const Adapter& adapter);

/// mismatch error if neither a merged weight nor a saved one differs from the base.
void refuse_no_change(const Program& program, const Adapter& adapter,
                      const std::vector<MergedWeight>& merged);

}  // namespace lora
