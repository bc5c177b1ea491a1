#pragma once

#include <string>
#include <vector>

#include "lora/config/common_config.h"
#include "lora/config/option.h"

namespace lora {

/// Options of `lora-merge bake`.
struct BakeConfig {
  ModelConfig model;
  std::vector<std::string> adapters;
  std::string hf, out, undo;
  bool overwrite = false, json = false;

  template <class V>
  void visit(V& v) {
    model.visit_weights(v);
    v.section("Merge");
    v("adapter", adapters, "adapter folders, each with the factor of its update: DIR or DIR:FACTOR",
      Placeholder{"DIR"}, CommaSeparated{}, Required{});
    v("hf", hf, "the Hugging Face folder that the model was exported from: merge into a copy of it",
      Placeholder{"DIR"});
    v("out", out, "merged model to write: a file, or with --hf a folder", Placeholder{"PATH"}, Required{});
    v("undo", undo, "also write what lora-merge restore needs to take the merge back", Placeholder{"FILE"});
    v("overwrite", overwrite, "replace outputs that exist");
    v("json", json, "results on stdout as JSON");
  }
};

}  // namespace lora
