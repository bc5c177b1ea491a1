#pragma once

#include "tokenizer/decoder.h"
#include "tokenizer/fragment_tokenizer.h"
#include "tokenizer/normalizer.h"
#include "tokenizer/pre_tokenizer.h"
#include "tokenizer/token_model.h"
#include "tokenizer/tokenizer_config.h"

namespace lora {

/// A tokenizer described by tokenizer.json: added tokens -> normaliser -> pre-tokeniser -> model, and back by
/// a decoder. Truncation and padding in the file are not the tokenizer's business here and are left alone.
class JsonTokenizer : public FragmentTokenizer {
 public:
  static std::unique_ptr<Tokenizer> make(const TokenizerFiles& files);

  std::string decode(const TokenIds& ids, bool skip_special) const override;
  std::optional<std::int32_t> id_of(std::string_view token) const override;
  std::string token_of(std::int32_t id) const override;
  std::string kind() const override;

 private:
  JsonTokenizer(const Component& file, const TokenizerConfig& config);
  void read_post_processor(const Component& component);
  void append_ids(Fragment fragment, SpecialText mode, TokenIds& ids) const override;

  std::unique_ptr<Normalizer> normalizer_;       ///< may be null
  std::unique_ptr<PreTokenizer> pre_tokenizer_;  ///< may be null
  std::unique_ptr<Decoder> decoder_;             ///< may be null
  std::unique_ptr<TokenModel> model_;
  IdSet special_;
};

}  // namespace lora
