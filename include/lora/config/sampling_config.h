#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "lora/config/option.h"

namespace lora {

/// How the tokens of an answer are chosen.
struct SamplingConfig {
  std::int64_t max_new_tokens = 64, top_k = 0, no_repeat_ngram = 0, seed = 42;
  double temperature = 0, top_p = 1, min_p = 0, repetition_penalty = 1;
  std::vector<std::string> stop;

  template <class V>
  void visit(V& v) {
    v.section("Generation");
    v("max_new_tokens", max_new_tokens, "tokens of an answer at most", at_least(1));
    v("temperature", temperature, "0: the likeliest token every time; above: draw, flatter the higher",
      at_least(0));
    v("top_k", top_k, "draw from the k likeliest tokens; 0 = all", at_least(0));
    v("top_p", top_p, "draw from the likeliest tokens that hold this share of the probability",
      between(0, 1));
    v("min_p", min_p, "draw from tokens at least this share as likely as the likeliest", between(0, 1));
    v("repetition_penalty", repetition_penalty,
      "divides positive scores of tokens that are there already, multiplies negative ones; 1 = none",
      above(0));
    v("no_repeat_ngram", no_repeat_ngram, "no sequence of so many tokens twice; 0 = allowed", at_least(0));
    v("stop", stop, "texts that end an answer, and are no part of it", Placeholder{"TEXT"});
    v("seed", seed, "of what is drawn; a row's text does not depend on its batch", at_least(0));
  }
};

}  // namespace lora
