#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "lora/config/option.h"

namespace lora {

/// Options of `lora-merge resize`.
struct ResizeConfig {
  std::string adapter, out;
  std::optional<std::int64_t> rank;
  std::optional<double> error, energy;
  bool overwrite = false, json = false;

  template <class V>
  void visit(V& v) {
    v.section("Resize");
    v("adapter", adapter, "adapter folder", Placeholder{"DIR"}, Positional{}, Required{});
    v("out", out, "adapter folder to write", Placeholder{"DIR"}, Required{});
    v("rank", rank, "new rank of every module (of every slice of a fused one); a larger one pads with zeros",
      at_least(1));
    v("error", error, "instead: the smallest rank of each module with this relative Frobenius error",
      between(0, 1));
    v("energy", energy, "instead: the smallest rank of each module that keeps this share of the squared norm",
      between(0, 1));
    v("overwrite", overwrite, "replace an adapter in the output folder");
    v("json", json, "results on stdout as JSON");
  }
};

}  // namespace lora
