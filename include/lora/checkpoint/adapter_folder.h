#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "lora/adapter/adapter.h"

namespace lora {

/// Facts about where an adapter came from; stored in the safetensors metadata, which other tools ignore.
struct AdapterProvenance {
  std::string base_name;         ///< base_model_name_or_path
  std::string base_fingerprint;  ///< Program::fingerprint of the base
  std::string tokenizer_hash;
  std::map<std::string, std::string>
      facts;  ///< further "lora." metadata: data hash, run id, tool version, step
};

/// What adapter_config.json says (PEFT's LoraConfig).
struct PeftConfig {
  MethodConfig defaults;
  std::string task_type;                    ///< CAUSAL_LM, SEQ_CLS ...
  std::vector<std::string> target_modules;  ///< list form
  std::string target_regex;                 ///< string form
  std::vector<std::string> modules_to_save;
  std::map<std::string, std::int64_t> rank_pattern;
  std::map<std::string, double> alpha_pattern;
  bool fan_in_fan_out = false;
};

struct AdapterFolder {
  PeftConfig config;
  AdapterProvenance provenance;
  std::map<std::string, at::Tensor> tensors;  ///< by PEFT key
  std::string sha256;                         ///< of adapter_model.safetensors
};

/// Writes adapter_config.json, adapter_model.safetensors and README.md as PEFT reads them, each atomically
/// and the tensors last. Slices of fused projections are written as whole-module adapters (block-stacked
/// rank). `card` is the README.md text below its front matter.
void write_adapter_folder(const std::filesystem::path& folder, const Program& program, const Adapter& adapter,
                          const AdapterProvenance& provenance, const std::string& card);

/// Reads and checks a folder by itself: file errors for damage, unknown PEFT features by name.
AdapterFolder read_adapter_folder(const std::filesystem::path& folder);

/// Fits a folder to a program: mismatch error listing every missing, extra and misshapen tensor at once; a
/// wrong base fingerprint is refused (a folder of another tool has none, which is logged).
Adapter fit_adapter(const AdapterFolder& folder, const Program& program);

}  // namespace lora
