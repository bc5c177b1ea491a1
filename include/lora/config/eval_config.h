#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "lora/config/common_config.h"
#include "lora/config/option.h"

namespace lora {

/// Options of `lora-eval compare`.
struct CompareConfig {
  ModelConfig model;
  DataConfig data;
  std::vector<std::string> variant;
  std::int64_t batch_tokens = 4096;
  std::vector<std::string> label_words;
  std::int64_t latency_repeats = 5;
  std::string json;

  template <class V>
  void visit(V& v) {
    model.visit(v);
    v.section("Data");
    v("data", data.path, "evaluation rows: JSONL or a JSON array", Placeholder{"FILE"}, Required{});
    data.visit(v);
    v.section("Comparison");
    v("variant", variant, "base, NAME=adapter:DIR, NAME=model:FILE or NAME=run:DIR; give one or more",
      Placeholder{"SPEC"}, Required{});
    v("batch_tokens", batch_tokens, "padded tokens that run at once", at_least(1));
    v("label_words", label_words,
      "completions to choose from for accuracy; default: the data's own if at most 32 distinct ones recur",
      Placeholder{"WORD"});
    v("latency_repeats", latency_repeats, "interleaved timings of one forward pass per variant; 0 = none",
      at_least(0));
    v("json", json, "also write the table as JSON to this file, - for stdout", Placeholder{"FILE"});
  }
};

}  // namespace lora
