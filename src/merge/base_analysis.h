#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "lora/adapter/adapter.h"

namespace lora {

/// An update beside the weight it changes, both as [out, in]: section 7 of the LoRA paper (arXiv:2106.09685).
/// U, V are the r leading singular directions of dW.
struct BaseFacts {
  std::string module;
  std::int64_t rank = 0;      ///< r: directions of dW that carry something, at most the adapter's rank
  double weight_norm = 0;     ///< |W|, Frobenius
  double update_norm = 0;     ///< |dW|
  double projected_norm = 0;  ///< |U^T W V|: how strong W already is where dW acts
  double random_norm = 0;     ///< the same for random directions: |W| r / sqrt(out in)
  double own_norm = 0;        ///< the same for W's own leading directions, the most it can be
  double amplification = 0;   ///< |dW| / |U^T W V| (table 7); Inf if W has nothing there
  double left_similarity = 0,
         right_similarity = 0;               ///< phi of r leading directions of dW and W: outputs, inputs
  double left_random = 0, right_random = 0;  ///< the same for random directions
};

/// One entry for each adapted site, in the order of the adapter's targets.
std::vector<BaseFacts> analyse_with_base(const Program& program, const Adapter& adapter);

}  // namespace lora
