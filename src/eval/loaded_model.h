#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <string>

#include "lora/base/cache.h"
#include "lora/config/common_config.h"
#include "lora/data/encode.h"
#include "lora/data/example.h"
#include "lora/model/program.h"
#include "lora/tokenizer/chat.h"
#include "lora/tokenizer/tokenizer.h"

namespace lora {

/// A model file on its device with the tokenizer and chat template that go with it.
struct LoadedModel {
  Program program;
  std::unique_ptr<Tokenizer> tokenizer;
  std::string tokenizer_hash;          ///< empty if there are no tokenizer files
  std::unique_ptr<ChatTemplate> chat;  ///< null if the file has none
  Cache cache;                         ///< what --cache and --cache-gib ask for

  /// How rows are encoded for this model.
  EncodeOptions encoding(const DataConfig& data) const;
  /// Its rows as token ids, as encode() makes them, from the cache if the same content was encoded before.
  EncodedSet encoded(const DataSet& data, const DataConfig& config, const EncodeOptions& options,
                     int threads) const;
  /// Tokens that end an answer.
  std::set<std::int32_t> end_ids() const;
  /// mismatch error, which begins with `what`, unless `theirs` is this tokenizer's hash, or either is
  /// unknown.
  void check_tokenizer(const std::string& what, const std::string& theirs) const;
  /// Fills the gaps of batches. Masked by length everywhere, so that any id would do.
  std::int32_t pad_id() const;
};

/// Loads program and tokenizer; `decodes`: to generate text, too. file error if `data` holds text and no
/// tokenizer is found; usage error for a device that this machine lacks.
LoadedModel load_model(const ModelConfig& config, const DataSet& data, bool decodes = true);

/// What --cache and --cache-gib ask for.
Cache cache_of(const ModelConfig& config);

/// cpu, cuda or cuda:N; usage error if malformed or absent.
at::Device parse_device(const std::string& name);

/// Sets the CPU threads of LibTorch: `threads`, or all usable cores for 0; returns the number.
int use_threads(std::int64_t threads);

/// The reading options that a data config asks for; usage error for a malformed `fields` entry.
ReadOptions read_options(const DataConfig& data);

}  // namespace lora
