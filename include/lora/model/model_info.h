#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace lora {

/// What `decode` keeps of each token: key and value of every layer.
struct PastShape {
  std::int64_t tensors = 0, heads = 0, head_size = 0;
};

enum class Task { language_model, classification, regression };

/// True for models with one row of outputs for a text, as classifiers and regressors have; a language model
/// has one for every token.
inline bool has_text_head(Task task) { return task != Task::language_model; }

/// What a model file says about itself (`lora_meta.json`, written by scripts/export_model.py) completed by
/// what the graph shows. Files of other people have no metadata: everything here then has its default.
struct ModelInfo {
  bool has_metadata = false;
  Task task = Task::language_model;
  std::string family;                ///< transformers' model_type: "llama", "bert"
  std::string name;                  ///< base model name for adapter_config.json
  std::vector<std::string> inputs;   ///< names of forward's inputs, in order
  std::optional<PastShape> past;     ///< of decode
  std::vector<std::string> methods;  ///< forward, packed, decode
  std::int64_t vocab_size = 0;       ///< rows of the embedding
  std::int64_t hidden_size = 0;      ///< columns of the embedding
  std::int64_t context_length = 0;   ///< 0 if unknown
  std::optional<std::int32_t> bos, eos, pad;
  std::vector<std::string> labels;  ///< classification: label names, in logit order
  std::vector<std::string>
      head_modules;           ///< text heads: modules that start untrained (PEFT: modules_to_save)
  std::string key_prefix;     ///< wrapper prefix removed from module paths ("model" in model.model.layers)
  std::string chat_template;  ///< JSON for ChatTemplate::parse; empty if none
  std::map<std::string, std::string> tokenizer_files;  ///< embedded tokenizer, as TokenizerFiles
};

/// The labels of a classifier; empty where they only count its classes: 0, 1 ...
std::vector<std::string> class_names(const ModelInfo& info);

}  // namespace lora
