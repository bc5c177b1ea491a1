#pragma once

#include <string>

#include "lora/config/option.h"

namespace lora {

/// Options of `lora-merge restore`.
struct RestoreConfig {
  std::string model, base, undo, out;
  bool overwrite = false, json = false;

  template <class V>
  void visit(V& v) {
    v.section("Restore");
    v("model", model, "merged model: a .pt file, or a Hugging Face folder", Placeholder{"PATH"}, Positional{},
      Required{});
    v("undo", undo, "the undo file that lora-merge bake --undo wrote with it", Placeholder{"FILE"});
    v("base", base, "or the base model itself: it is checked and copied", Placeholder{"PATH"});
    v("out", out, "restored model to write", Placeholder{"PATH"}, Required{});
    v("overwrite", overwrite, "replace the output if it exists");
    v("json", json, "results on stdout as JSON");
  }
};

}  // namespace lora
