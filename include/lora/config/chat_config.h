#pragma once

#include <string>
#include <vector>

#include "lora/config/common_config.h"
#include "lora/config/option.h"
#include "lora/config/sampling_config.h"

namespace lora {

/// Options of `lora-eval chat`.
struct ChatConfig {
  ModelConfig model;
  std::vector<std::string> adapters;
  std::string system;
  SamplingConfig sampling;

  ChatConfig() { sampling.max_new_tokens = 256; }

  template <class V>
  void visit(V& v) {
    model.visit(v);
    v.section("Chat");
    v("adapter", adapters, "adapters to switch between: NAME=DIR; the first one speaks at the start",
      Placeholder{"NAME=DIR"});
    v("system", system, "the system message; default: the chat template's own", Placeholder{"TEXT"});
    sampling.visit(v);
  }
};

}  // namespace lora
