#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "lora/config/option.h"

namespace lora {

/// Options of `lora-eval score`.
struct ScoreConfig {
  std::vector<std::string> predictions;
  std::vector<std::string> metrics = {"bleu", "rouge_l", "chrf"};
  std::int64_t samples = 1000;
  bool list = false, json = false;

  template <class V>
  void visit(V& v) {
    v.section("Score");
    v("predictions", predictions,
      "JSONL with prediction (or text, as lora-eval generate --out writes) and references; several are "
      "compared",
      Placeholder{"FILE"}, Required{{"list"}});
    v("metrics", metrics, "measures, see --list", Placeholder{"NAME"}, CommaSeparated{});
    v("samples", samples, "of the bootstrap behind intervals and significance; 0 = neither", at_least(0));
    v("list", list, "print the measures with their definitions and stop");
    v("json", json, "results on stdout as JSON");
  }
};

}  // namespace lora
