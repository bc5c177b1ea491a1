#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lora/config/option.h"

namespace lora {

/// Which model runs where; the same in every program.
struct ModelConfig {
  std::string path, tokenizer, precision = "fp32", device = "cpu";
  std::optional<std::string> cache;
  std::int64_t threads = 0;
  double cache_gib = 10;
  std::vector<std::string> rewrites = {"all"};

  template <class V>
  void visit(V& v) {
    visit_weights(v);
    v("tokenizer", tokenizer,
      "tokenizer.json, SentencePiece .model or their folder; default: the one inside the model file",
      Placeholder{"PATH"});
    v("rewrites", rewrites,
      "faster operations for patterns of the model: all, none, or some of norm, gelu, mlp, rotary, attention, "
      "rows, shared",
      Placeholder{"NAME"}, CommaSeparated{});
    v("precision", precision,
      "type of the products with frozen weights: fp32, bf16, fp16 (with scaled losses), or bf16 where it is "
      "at least 1.3 times as fast (auto)",
      OneOf{{"fp32", "bf16", "fp16", "auto"}});
    v("device", device, "cpu, cuda or cuda:N", Placeholder{"DEVICE"});
    v("cache", cache,
      "folder that keeps tokens and facts about models for later runs, ~/.cache/lora by default; none: "
      "nothing is kept",
      Placeholder{"DIR"});
    v("cache_gib", cache_gib, "how much it may hold; what was used longest ago gives way", above(0));
  }

  /// The options of a program that only works on the weights.
  template <class V>
  void visit_weights(V& v) {
    v.section("Model");
    v("model", path, "TorchScript file (.pt), traced or scripted", Placeholder{"FILE"}, Required{});
    v("threads", threads, "CPU threads; 0 = all usable cores", at_least(0));
  }
};

/// How rows become token sequences; the same in training and evaluation. `path` is declared by each program.
struct DataConfig {
  std::string path;
  std::vector<std::string> fields;
  std::optional<std::int64_t> max_length;
  std::string loss_on = "completion", on_overlong = "cut";
  std::int64_t skip_bad = 0, limit = 0;

  template <class V>
  void visit(V& v) {
    v("fields", fields, "names of fields in your file: prompt=question completion=answer",
      Placeholder{"FIELD=NAME"}, CommaSeparated{});
    v("max_length", max_length, "tokens per row; default: the model's context length", at_least(2));
    v("loss_on", loss_on, "loss on completions (and assistant turns) or on every token",
      OneOf{{"completion", "all"}});
    v("on_overlong", on_overlong, "a row beyond max_length: cut (keeps the answer), drop or error",
      OneOf{{"cut", "drop", "error"}});
    v("skip_bad", skip_bad, "malformed rows that may be skipped; each is counted", at_least(0));
    v("limit", limit, "use the first rows only; 0 = all", at_least(0));
  }
};

}  // namespace lora
