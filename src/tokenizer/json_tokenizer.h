#pragma once

#include "tokenizer/added_tokens.h"
#include "tokenizer/decoder.h"
#include "tokenizer/normalizer.h"
#include "tokenizer/post_processor.h"
#include "tokenizer/pre_tokenizer.h"
#include "tokenizer/token_model.h"
#include "tokenizer/tokenizer_config.h"

namespace lora {

/// A tokenizer described by tokenizer.json: added tokens -> normaliser -> pre-tokeniser -> model, and back by
/// a decoder. Truncation and padding in the file are not the tokenizer's business here and are left alone.
class JsonTokenizer : public Tokenizer {
 public:
  static std::unique_ptr<Tokenizer> make(const TokenizerFiles& files);

  TokenIds encode(std::string_view text, SpecialText special) const override;
  TokenIds encode_inside(std::string_view text) const override;
  std::vector<SpecialPart> split_special(std::string_view text) const override;
  TokenPair with_special(const TokenIds& first, const TokenIds* second) const override;
  std::string decode(const TokenIds& ids, bool skip_special) const override;
  std::int32_t vocab_size() const override { return size_; }
  std::optional<std::int32_t> id_of(std::string_view token) const override;
  std::string token_of(std::int32_t id) const override;
  SpecialIds special_ids() const override { return special_ids_; }
  std::string kind() const override;

 private:
  JsonTokenizer(const Component& file, const TokenizerConfig& config);
  void read_post_processor(const Component& component);
  void append_ids(Fragments parts, SpecialText mode, TokenIds& ids) const;

  std::unique_ptr<Normalizer> normalizer_;       ///< may be null
  std::unique_ptr<PreTokenizer> pre_tokenizer_;  ///< may be null
  std::unique_ptr<Decoder> decoder_;             ///< may be null
  std::unique_ptr<TokenModel> model_;
  std::optional<AddedTokens> added_;
  IdSet special_;
  PostProcessor post_processor_;
  SpecialIds special_ids_;
  std::int32_t size_ = 0;
};

}  // namespace lora
