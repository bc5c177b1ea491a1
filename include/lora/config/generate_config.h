#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "lora/config/common_config.h"
#include "lora/config/option.h"

namespace lora {

/// Options of `lora-eval generate`.
struct GenerateConfig {
  ModelConfig model;
  std::vector<std::string> adapters, prompts;
  std::string data, out;
  bool chat = false;
  std::int64_t max_new_tokens = 64, batch_size = 8, top_k = 0, seed = 42;
  double temperature = 0, top_p = 1;
  bool json = false;

  template <class V>
  void visit(V& v) {
    model.visit(v);
    v.section("Adapters and prompts");
    v("adapter", adapters, "adapters on the resident base, side by side: NAME=DIR; none: the base",
      Placeholder{"NAME=DIR"});
    v("prompt", prompts, "a text to continue; give one or more", Placeholder{"TEXT"});
    v("data", data,
      "or rows with prompt or messages, and adapter: the name of the one to use (empty: the base)",
      Placeholder{"FILE"});
    v("chat", chat, "prompts are messages of a user, put into the model's chat template");
    v.section("Generation");
    v("max_new_tokens", max_new_tokens, "tokens of an answer at most", at_least(1));
    v("temperature", temperature, "0: the likeliest token every time; above: draw, flatter the higher",
      at_least(0));
    v("top_k", top_k, "draw from the k likeliest tokens; 0 = all", at_least(0));
    v("top_p", top_p, "draw from the likeliest tokens that hold this share of the probability",
      between(0, 1));
    v("seed", seed, "of what is drawn; a row's text does not depend on its batch", at_least(0));
    v("batch_size", batch_size, "rows that run at once, of any adapters", at_least(1));
    v.section("Output");
    v("out", out, "also write the answers as JSONL to this file", Placeholder{"FILE"});
    v("json", json, "answers on stdout as JSONL");
  }
};

}  // namespace lora
