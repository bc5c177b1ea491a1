#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "lora/config/option.h"

namespace lora {

/// Options of `lora-merge convert`.
struct ConvertConfig {
  std::string input, from = "auto", to, out;
  std::string base_config, dtype = "f32", mask, base_name;
  std::optional<std::int64_t> rank;
  std::optional<double> alpha;
  bool overwrite = false, json = false;

  template <class V>
  void visit(V& v) {
    v.section("Convert");
    v("input", input, "adapter to read: a PEFT or mlx-lm folder, a .gguf file, or a loralib .pt file",
      Placeholder{"PATH"}, Positional{}, Required{});
    v("to", to, "format to write", OneOf{{"peft", "mlx", "gguf", "loralib"}}, Required{});
    v("out", out, "folder (peft, mlx) or file (gguf, loralib) to write", Placeholder{"PATH"}, Required{});
    v("from", from, "format to read; auto: by the files that are there",
      OneOf{{"auto", "peft", "mlx", "gguf", "loralib"}});
    v("base_config", base_config, "config.json of the base, for gguf: architecture and head counts",
      Placeholder{"FILE"});
    v("base_name", base_name, "name of the base model, where the input does not tell it",
      Placeholder{"NAME"});
    v("dtype", dtype, "type of the numbers in a gguf file", OneOf{{"f32", "f16", "bf16"}});
    v("rank", rank, "from loralib: r, which its files do not tell", at_least(1));
    v("alpha", alpha, "from loralib: lora_alpha, which its files do not tell", above(0));
    v("mask", mask, "from loralib: enable_lora of its MergedLinear, a digit for each part: 101",
      Placeholder{"DIGITS"});
    v("overwrite", overwrite, "replace the output if it exists");
    v("json", json, "results on stdout as JSON");
  }
};

}  // namespace lora
