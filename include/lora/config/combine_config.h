#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lora/config/option.h"

namespace lora {

/// Options of `lora-merge combine`.
struct CombineConfig {
  std::vector<std::string> adapters;
  std::string out, method = "sum", model, whole = "refuse";
  std::optional<std::int64_t> rank;
  double density = 0.5;
  bool exact = false;
  std::int64_t seed = 42, threads = 0;
  bool overwrite = false, json = false;

  template <class V>
  void visit(V& v) {
    v.section("Combine");
    v("adapters", adapters,
      "adapter folders, each with the weight of its update after the last colon (default 1)",
      Placeholder{"DIR[:WEIGHT]"}, Positional{}, Required{});
    v("out", out, "adapter folder to write", Placeholder{"DIR"}, Required{});
    v("method", method, "how the updates are combined (docs/adapters.md has the equations)",
      OneOf{{"sum", "average", "ties", "dare_linear", "dare_ties", "magnitude_prune"}});
    v("rank", rank,
      "approximate the result with this rank; default: sum and average are exact, the others take the "
      "largest rank "
      "of the inputs",
      at_least(1));
    v("density", density, "share of each update's elements that ties, dare and magnitude_prune keep",
      between(0.001, 1));
    v("whole", whole,
      "weights that adapters hold whole (modules_to_save): refuse ambiguous ones, average them, or add their "
      "differences from --model",
      OneOf{{"refuse", "average", "difference"}});
    v("model", model, "the base model; needed for DoRA, whose update depends on its weights",
      Placeholder{"FILE"});
    v("exact", exact, "full SVD instead of the randomised one where updates are dense");
    v("seed", seed, "of dropped elements (dare) and of the randomised SVD", at_least(0));
    v("threads", threads, "CPU threads; 0 = all usable cores", at_least(0));
    v("overwrite", overwrite, "replace an adapter in the output folder");
    v("json", json, "results on stdout as JSON");
  }
};

}  // namespace lora
