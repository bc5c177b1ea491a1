#pragma once

#include <string>

#include "lora/config/option.h"

namespace lora {

/// Options of `lora-merge inspect`.
struct InspectConfig {
  std::string adapter;
  bool json = false;

  template <class V>
  void visit(V& v) {
    v.section("Inspect");
    v("adapter", adapter, "adapter folder", Placeholder{"DIR"}, Positional{}, Required{});
    v("json", json, "results on stdout as JSON");
  }
};

}  // namespace lora
