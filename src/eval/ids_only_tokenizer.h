#pragma once

#include "lora/model/model_info.h"
#include "lora/tokenizer/tokenizer.h"

namespace lora {

/// Stands where data are token ids already and the model has no tokenizer: knows the vocabulary's size and
/// the special ids; every question about text is a file error.
class IdsOnlyTokenizer : public Tokenizer {
 public:
  explicit IdsOnlyTokenizer(const ModelInfo& info);

  TokenIds encode(std::string_view text, SpecialText special) const override;
  TokenPair with_special(const TokenIds& first, const TokenIds* second) const override;
  std::string decode(const TokenIds& ids, bool skip_special) const override;
  std::int32_t vocab_size() const override { return vocab_size_; }
  std::optional<std::int32_t> id_of(std::string_view token) const override;
  std::string token_of(std::int32_t id) const override;
  SpecialIds special_ids() const override { return special_; }
  std::string kind() const override { return "none (token ids)"; }

 private:
  std::int32_t vocab_size_;
  SpecialIds special_;
};

}  // namespace lora
