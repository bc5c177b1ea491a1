#pragma once

#include <string>
#include <vector>

#include "lora/adapter/adapter.h"
#include "lora/kernels/round_update.h"

namespace lora {

/// What `targets`, all at one site, make of its weight: float64, as stored.
at::Tensor updated_weight(const at::Tensor& base, const std::vector<const AdaptedTarget*>& targets);

/// A base weight with all updates summed in.
struct MergedWeight {
  std::string path;      ///< in the file
  std::string module;    ///< Site::path
  RoundedUpdate update;  ///< its value, in the base weight's dtype, and what rounding did
  bool changed() const { return update.largest_change > 0; }
};

/// file error naming the tensors with NaN or Inf.
void refuse_non_finite(const Adapter& adapter);

/// Paths of the adapted weights, each once, in the order of the targets. mismatch error for a weight that
/// other sites read from the same slot.
std::vector<std::string> weights_to_merge(const Program& program, const AdapterMix& mix);

/// `base` (as stored, of any floating-point type) with the mix's weighted updates of that weight: summed in
/// float64 and rounded once to its type. mismatch error if the sum overflows.
MergedWeight merge_weight(const AdapterMix& mix, const std::string& path, const at::Tensor& base);

/// All of them on the program's own weights. file error as refuse_non_finite.
std::vector<MergedWeight> merge_targets(const Program& program, const AdapterMix& mix);

/// The weights that the adapters hold whole. mismatch error listing those that two adapters hold, or one
/// whose factor is not 1.
std::map<std::string, at::Tensor> whole_weights(const AdapterMix& mix);

/// mismatch error if neither a merged weight nor a whole one differs from the base.
void refuse_no_change(const Program& program, const std::map<std::string, at::Tensor>& whole,
                      const std::vector<MergedWeight>& merged);

}  // namespace lora
