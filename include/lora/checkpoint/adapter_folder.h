#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "lora/adapter/adapter.h"

namespace lora {

/// Facts about where an adapter came from; stored in the safetensors metadata, which other tools ignore.
struct AdapterProvenance {
  std::string base_name;         ///< base_model_name_or_path
  std::string base_fingerprint;  ///< Program::fingerprint of the base
  std::string tokenizer_hash;
  /// Further "lora." metadata: data hash, run id, tool version, step.
  std::map<std::string, std::string> facts;
  std::vector<std::string> labels = {};  ///< class_names of the base, in the order of the outputs
};

/// What adapter_config.json says (PEFT's LoraConfig).
struct PeftConfig {
  MethodConfig defaults;                    ///< rank and alpha where no pattern matches
  std::string task_type;                    ///< CAUSAL_LM, SEQ_CLS ...
  std::vector<std::string> target_modules;  ///< list form: module paths or suffixes of whole segments
  std::string target_regex;                 ///< string form: matches whole paths
  bool narrowed = false;                    ///< exclude_modules or layers_to_transform leave some of them out
  std::vector<std::string> modules_to_save;
  std::string bias = "none";  ///< which biases are held whole: "none", "all", "lora_only"
  /// Embeddings whose rows are trained: path or suffix of whole segments (empty: the input embedding) -> row
  /// ids.
  std::vector<std::pair<std::string, std::vector<std::int64_t>>> token_indices;
  /// Regular expressions for the end of a module's path; the first match in file order counts.
  std::vector<std::pair<std::string, std::int64_t>> rank_pattern;
  std::vector<std::pair<std::string, double>> alpha_pattern;
  bool fan_in_fan_out = false;

  /// True if token rows are all there is: PEFT's TRAINABLE_TOKENS, which has keys and settings of its own.
  bool tokens_alone = false;

  /// The row ids for the embedding at `module`; null if there are none.
  const std::vector<std::int64_t>* token_ids(const std::string& module) const;

  /// The defaults with this module's own rank and alpha.
  MethodConfig of(const std::string& module) const;
};

/// A block of a module's rank that belongs to one slice of a fused projection (or to the whole, if `slice` is
/// empty).
struct RankBlock {
  std::string slice;  ///< "query", "key", "value"
  std::int64_t rank = 0;
};

/// An adapter as a folder holds it: tied to no program.
struct AdapterFolder {
  std::filesystem::path path;  ///< empty if not read from one
  PeftConfig config;
  AdapterProvenance provenance;
  std::map<std::string, at::Tensor> tensors;             ///< by PEFT key
  std::map<std::string, std::vector<RankBlock>> blocks;  ///< of modules that were written from slices
  std::string sha256;                                    ///< of adapter_model.safetensors, as read
  std::uint64_t bytes = 0;                               ///< of adapter_model.safetensors, as read
};

/// What a folder of this adapter holds. Slices of fused projections become whole-module adapters
/// (block-stacked rank).
AdapterFolder pack_adapter(const Program& program, const Adapter& adapter, AdapterProvenance provenance);

/// Writes adapter_config.json, adapter_model.safetensors and README.md as PEFT reads them, by a
/// PendingFolder: an older adapter there is replaced as a whole. `card` is the README.md text below its front
/// matter.
void write_adapter_folder(const std::filesystem::path& path, const AdapterFolder& adapter,
                          const std::string& card);

/// Reads and checks a folder by itself: file errors for damage, tensors that disagree with the config,
/// unknown PEFT features by name.
AdapterFolder read_adapter_folder(const std::filesystem::path& folder);

/// Fits a folder to a program: mismatch error listing every missing, extra and misshapen tensor and another
/// order of classes at once; a wrong base fingerprint is refused (a folder of another tool has none, which is
/// logged). file error for tensors that are not finite. Tensors become float32 on the program's device.
Adapter fit_adapter(const AdapterFolder& folder, const Program& program);

}  // namespace lora
