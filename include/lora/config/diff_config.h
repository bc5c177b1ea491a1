#pragma once

#include <string>

#include "lora/config/option.h"

namespace lora {

/// Options of `lora-merge diff`.
struct DiffConfig {
  std::string first, second;
  bool json = false;

  template <class V>
  void visit(V& v) {
    v.section("Diff");
    v("first", first, "adapter folder", Placeholder{"DIR"}, Positional{}, Required{});
    v("second", second, "adapter folder to compare it with", Placeholder{"DIR"}, Positional{}, Required{});
    v("json", json, "results on stdout as JSON, with the similarity of all pairs of ranks");
  }
};

}  // namespace lora
