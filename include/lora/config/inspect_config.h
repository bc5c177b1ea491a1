#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "lora/config/option.h"

namespace lora {

/// Options of `lora-merge inspect`.
struct InspectConfig {
  std::string adapter, base, out;
  bool intruders = false;
  std::int64_t intruder_directions = 10;
  double intruder_threshold = 0.5;
  std::optional<double> shrink_intruders;
  bool overwrite = false, json = false;

  template <class V>
  void visit(V& v) {
    v.section("Inspect");
    v("adapter", adapter, "adapter folder", Placeholder{"DIR"}, Positional{}, Required{});
    v("base", base,
      "its base model: adds amplification and similarity to the weights (LoRA paper, section 7)",
      Placeholder{"FILE"});
    v("intruders", intruders, "look for intruder dimensions (one SVD of each weight; needs --base)");
    v("intruder_directions", intruder_directions, "leading directions of the tuned weight that are looked at",
      at_least(1));
    v("intruder_threshold", intruder_threshold,
      "largest |cosine| with a direction of the base that still intrudes", between(0, 1));
    v("shrink_intruders", shrink_intruders,
      "write to --out the adapter with its intruders' strength times this", between(0, 1));
    v("out", out, "adapter folder to write", Placeholder{"DIR"});
    v("overwrite", overwrite, "replace the adapter in the output folder");
    v("json", json, "results on stdout as JSON");
  }
};

}  // namespace lora
