#include "model/rewrites/rewrite.h"

namespace lora {

const std::vector<Rewrite>& all_rewrites() {
  // Attention comes behind what changes queries and keys, rows behind everything it may see, and shared
  // behind rows, which give some projections another input.
  static const std::vector<Rewrite> all = {{"norm", rewrite_rms_norm},
                                           {"gelu", rewrite_gelu},
                                           {"mlp", rewrite_gated},
                                           {"rotary", rewrite_rotary},
                                           {"attention", rewrite_attention, plain_attention},
                                           {std::string(kRowsRewrite), rewrite_rows},
                                           {"shared", rewrite_shared}};
  return all;
}

}  // namespace lora
