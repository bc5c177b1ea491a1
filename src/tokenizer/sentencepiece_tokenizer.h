#pragma once

#include "tokenizer/added_tokens.h"
#include "tokenizer/post_processor.h"
#include "tokenizer/tokenizer_config.h"

namespace sentencepiece {
class SentencePieceProcessor;
}

namespace lora {

/// A SentencePiece `.model`, with the flags and added tokens of tokenizer_config.json where that is there.
///
/// Control pieces, added tokens, and user-defined pieces that the configuration calls special are looked for
/// before the library sees the text, so that content in SpecialText::plain cannot spell them.
class SentencePieceTokenizer : public Tokenizer {
 public:
  static std::unique_ptr<Tokenizer> make(const TokenizerFiles& files);
  ~SentencePieceTokenizer() override;

  TokenIds encode(std::string_view text, SpecialText special) const override;
  TokenIds encode_inside(std::string_view text) const override;
  std::vector<SpecialPart> split_special(std::string_view text) const override;
  TokenPair with_special(const TokenIds& first, const TokenIds* second) const override;
  std::string decode(const TokenIds& ids, bool skip_special) const override;
  std::int32_t vocab_size() const override { return size_; }
  std::optional<std::int32_t> id_of(std::string_view token) const override;
  std::string token_of(std::int32_t id) const override;
  SpecialIds special_ids() const override { return special_ids_; }
  std::string kind() const override { return "sentencepiece"; }

 private:
  using Processor = sentencepiece::SentencePieceProcessor;

  SentencePieceTokenizer(std::string model, const TokenizerConfig& config);
  SpecialIds read_special_ids(const TokenizerConfig& config) const;
  TokenIds encode_parts(const Fragments& parts) const;
  const Processor& processor(bool at_start) const;
  std::string decode_run(const TokenIds& ids, bool at_start) const;

  std::unique_ptr<Processor> first_;   ///< for the beginning of a text
  std::unique_ptr<Processor> inside_;  ///< without dummy prefix; null if the model has none anyway
  bool legacy_, adds_prefix_;
  std::optional<AddedTokens> added_;
  PostProcessor post_processor_;
  SpecialIds special_ids_;
  std::int32_t pieces_ = 0, size_ = 0;
};

}  // namespace lora
