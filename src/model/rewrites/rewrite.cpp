#include "model/rewrites/rewrite.h"

namespace lora {

const std::vector<Rewrite>& all_rewrites() {
  // Attention comes last: it looks for what the others leave of queries and keys.
  static const std::vector<Rewrite> all = {{"norm", rewrite_rms_norm},
                                           {"mlp", rewrite_gated},
                                           {"rotary", rewrite_rotary},
                                           {"attention", rewrite_attention}};
  return all;
}

}  // namespace lora
