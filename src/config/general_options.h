#pragma once

#include <string>

#include "lora/config/option.h"

namespace lora {

/// The options of every command, which a config file cannot hold.
struct GeneralOptions {
  std::string config;
  bool print_config = false, trust_model = false, quiet = false, verbose = false, version = false, help = false;

  template <class V>
  void visit(V& v) {
    v.section("General");
    v("config", config, "read options from a JSON file {\"rank\": 8, ...}; flags win over it",
      Placeholder{"FILE"});
    v("print_config", print_config, "print the resolved options as such a file and stop");
    v("trust_model", trust_model,
      "load model files although their code does more than calculate (docs/model-files.md)");
    v("quiet", quiet, "only warnings and errors on stderr");
    v("verbose", verbose, "details on stderr");
    v("version", version, "print the version and stop");
    v("help", help, "print this help and stop");
  }
};

}  // namespace lora
