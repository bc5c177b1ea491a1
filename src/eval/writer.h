#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "eval/generation.h"
#include "eval/loaded_model.h"
#include "lora/adapter/adapter_set.h"
#include "lora/config/sampling_config.h"

namespace lora {

/// A resident language model with several adapters, ready to write text.
class Writer {
 public:
  /// `adapters`: NAME=DIR. usage error for a classifier or a malformed entry; mismatch error for adapters of
  /// another base or tokenizer. `recompute`: never use a cache.
  Writer(const ModelConfig& model, const std::vector<std::string>& adapters, const SamplingConfig& sampling,
         bool recompute);

  const LoadedModel& model() const { return model_; }
  AdapterSet& adapters() { return *adapters_; }
  const GenerationOptions& options() const { return options_; }

  /// For new rows of the adapter in use. With a cache, if the file offers `decode`.
  std::unique_ptr<RowFeed> feed() const;
  /// For new rows, each with its adapter; while it is in use the adapters serve no other.
  std::unique_ptr<RowFeed> feed(std::vector<std::string> adapters);

  /// A further text that ends answers.
  void stop_at(const std::string& text);

  /// Text of an answer, up to what ends it.
  std::string text(const TokenIds& answer) const;

  /// The same without what may yet change: half a character, the beginning of a text that would end it.
  std::string settled_text(const TokenIds& answer) const;

 private:
  void add_adapter(const std::string& entry);

  std::vector<std::string> stop_;
  LoadedModel model_;
  std::unique_ptr<AdapterSet> adapters_;
  GenerationOptions options_;
  std::optional<Executable> whole_;
  std::optional<CachedExecutable> cached_;
};

}  // namespace lora
