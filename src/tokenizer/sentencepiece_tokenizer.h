#pragma once

#include "tokenizer/fragment_tokenizer.h"
#include "tokenizer/tokenizer_config.h"

namespace sentencepiece {
class SentencePieceProcessor;
}

namespace lora {

/// A SentencePiece `.model`, with the flags and added tokens of tokenizer_config.json where that is there.
///
/// Control pieces, added tokens, and user-defined pieces that the configuration calls special are looked for
/// before the library sees the text, so that content in SpecialText::plain cannot spell them.
class SentencePieceTokenizer : public FragmentTokenizer {
 public:
  static std::unique_ptr<Tokenizer> make(const TokenizerFiles& files);
  ~SentencePieceTokenizer() override;

  std::string decode(const TokenIds& ids, bool skip_special) const override;
  std::optional<std::int32_t> id_of(std::string_view token) const override;
  std::string token_of(std::int32_t id) const override;
  std::string kind() const override { return "sentencepiece"; }

 private:
  using Processor = sentencepiece::SentencePieceProcessor;

  SentencePieceTokenizer(std::string model, const TokenizerConfig& config);
  SpecialIds read_special_ids(const TokenizerConfig& config) const;
  void append_ids(Fragment fragment, SpecialText mode, TokenIds& ids) const override;
  void check_length(std::string_view text) const override;
  const Processor& processor(bool at_start) const;
  std::string decode_run(const TokenIds& ids, bool at_start) const;

  std::unique_ptr<Processor> first_;   ///< for the beginning of a text
  std::unique_ptr<Processor> inside_;  ///< without dummy prefix; null if the model has none anyway
  bool legacy_, adds_prefix_;
  std::int32_t pieces_ = 0;
};

}  // namespace lora
