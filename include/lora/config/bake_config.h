#pragma once

#include <string>

#include "lora/config/common_config.h"
#include "lora/config/option.h"

namespace lora {

/// Options of `lora-merge bake`.
struct BakeConfig {
  ModelConfig model;
  std::string adapter, out;
  bool overwrite = false, json = false;

  template <class V>
  void visit(V& v) {
    model.visit_weights(v);
    v.section("Merge");
    v("adapter", adapter, "adapter folder (adapter_config.json, adapter_model.safetensors)",
      Placeholder{"DIR"}, Required{});
    v("out", out, "merged model file to write", Placeholder{"FILE"}, Required{});
    v("overwrite", overwrite, "replace the output file if it exists");
    v("json", json, "results on stdout as JSON");
  }
};

}  // namespace lora
