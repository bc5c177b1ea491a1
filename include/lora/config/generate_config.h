#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "lora/config/common_config.h"
#include "lora/config/option.h"
#include "lora/config/sampling_config.h"

namespace lora {

/// Options of `lora-eval generate`.
struct GenerateConfig {
  ModelConfig model;
  std::vector<std::string> adapters, prompts;
  std::string data, out;
  bool chat = false;
  SamplingConfig sampling;
  std::int64_t beams = 1, batch_size = 8;
  double length_penalty = 1;
  bool recompute = false, stream = false, json = false;

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
    sampling.visit(v);
    v("beams", beams, "beam search with so many beams; 1 = none", between(1, 64));
    v("length_penalty", length_penalty, "of beams: their log-likelihood is divided by length to this power");
    v("batch_size", batch_size, "rows that run at once, of any adapters", at_least(1));
    v("recompute", recompute, "run rows whole at each step, without a cache of keys and values");
    v.section("Output");
    v("out", out, "also write the answers as JSONL to this file", Placeholder{"FILE"});
    v("stream", stream, "print an answer while it is written, one prompt at a time");
    v("json", json, "answers on stdout as JSONL");
  }
};

}  // namespace lora
