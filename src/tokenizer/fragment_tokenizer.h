#pragma once

#include <optional>

#include "tokenizer/added_tokens.h"
#include "tokenizer/post_processor.h"

namespace lora {

/// What tokenizers have in common: added tokens are taken out of a text first, a derived class encodes the
/// text between them, and a post-processor surrounds the ids.
class FragmentTokenizer : public Tokenizer {
 public:
  TokenIds encode(std::string_view text, SpecialText special) const override;
  TokenIds encode_inside(std::string_view text) const override;
  std::vector<SpecialPart> split_special(std::string_view text) const override;
  TokenPair with_special(const TokenIds& first, const TokenIds* second) const override;
  std::int32_t vocab_size() const override { return size_; }
  SpecialIds special_ids() const override { return special_ids_; }

 protected:
  /// Appends the ids of a fragment that is no added token.
  virtual void append_ids(Fragment fragment, SpecialText mode, TokenIds& ids) const = 0;
  /// Data error for a text that is too long.
  virtual void check_length(std::string_view) const {}

  // A derived class's constructor sets these.
  std::optional<AddedTokens> added_;
  PostProcessor post_processor_;
  SpecialIds special_ids_;
  std::int32_t size_ = 0;

 private:
  TokenIds ids_of(Fragments fragments, SpecialText mode) const;
};

}  // namespace lora
