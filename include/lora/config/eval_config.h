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
  std::string baseline, general;
  std::int64_t samples = 1000, latency_repeats = 5, examples = 3;
  std::vector<std::string> latency_shapes = {"1x1", "1x128"}, decode_shapes = {"1x32", "8x32"};
  std::vector<std::string> metrics;
  std::int64_t max_new_tokens = 64, generate_rows = 100;
  std::string report, json;

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
      Placeholder{"WORD"}, CommaSeparated{});
    v("latency_repeats", latency_repeats, "interleaved timings of one forward pass per variant; 0 = none",
      at_least(0));
    v("latency_shapes", latency_shapes,
      "ROWSxTOKENS whose forward passes are timed as well, on arbitrary tokens", Placeholder{"RxT"},
      CommaSeparated{});
    v("decode_shapes", decode_shapes,
      "ROWSxTOKENS of prompts whose time to the first token and per further token is measured, with the "
      "cache of keys and values",
      Placeholder{"RxT"}, CommaSeparated{});
    v("metrics", metrics, "measures of what every variant writes, see lora-eval score --list; default: none",
      Placeholder{"NAME"}, CommaSeparated{});
    v("generate_rows", generate_rows, "rows that are answered for --metrics, the first ones; 0 = all",
      at_least(0));
    v("max_new_tokens", max_new_tokens, "tokens of an answer at most", at_least(1));
    v("baseline", baseline, "variant that the others' differences are tested against; default: the first",
      Placeholder{"NAME"});
    v("samples", samples, "of the bootstrap behind intervals and significance; 0 = neither", at_least(0));
    v("general", general, "general text (.txt, or rows): what did fine-tuning cost there?",
      Placeholder{"FILE"});
    v("report", report, "also write a page with tables, plots and examples", Placeholder{"FILE.html"});
    v("examples", examples, "rows of prompts that the report answers", at_least(0));
    v("json", json, "also write the table as JSON to this file, - for stdout", Placeholder{"FILE"});
  }
};

}  // namespace lora
