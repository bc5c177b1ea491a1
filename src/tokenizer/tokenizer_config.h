#pragma once

#include <optional>
#include <string>
#include <vector>

#include "lora/tokenizer/tokenizer.h"
#include "tokenizer/added_tokens.h"

namespace lora {

/// What tokenizer_config.json says beside the tokenizer itself.
struct TokenizerConfig {
  bool present = false;
  std::optional<std::string> bos, eos, pad, unk;
  std::vector<std::string> other_special;  ///< cls, sep, mask, additional and extra ones
  std::optional<bool> add_bos, add_eos;
  std::optional<bool> add_prefix_space;  ///< false turns SentencePiece's dummy prefix off
  bool legacy = false;  ///< SentencePiece: each text between special tokens is treated as a beginning
  std::vector<AddedToken> added;  ///< added_tokens_decoder, by rising id

  /// Of "tokenizer_config.json"; without that file nothing is set. File error if malformed.
  static TokenizerConfig parse(const TokenizerFiles& files);

  /// All tokens that it calls special.
  std::vector<std::string> special_tokens() const;
};

/// Ids of bos, eos, pad and unk. Without a configuration they are the special tokens that have one of the
/// customary names. File error if the configuration names a token that is not in the vocabulary.
SpecialIds find_special_ids(const TokenizerConfig& config, const Tokenizer& tokenizer,
                            const AddedTokens& added);

}  // namespace lora
