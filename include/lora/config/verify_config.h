#pragma once

#include <string>
#include <vector>

#include "lora/config/option.h"

namespace lora {

/// Options of `lora-merge verify`.
struct VerifyConfig {
  std::vector<std::string> adapters;
  std::string model;
  bool json = false;

  template <class V>
  void visit(V& v) {
    v.section("Verify");
    v("adapter", adapters, "adapter folders", Placeholder{"DIR"}, Positional{}, CommaSeparated{}, Required{});
    v("model", model, "base model: also checks that the adapters fit and that merging computes the same",
      Placeholder{"FILE"});
    v("json", json, "results on stdout as JSON");
  }
};

}  // namespace lora
