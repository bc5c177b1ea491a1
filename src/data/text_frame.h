#pragma once

#include <mutex>
#include <optional>
#include <string_view>

#include "lora/tokenizer/tokenizer.h"

namespace lora {

/// How a tokenizer begins, continues and ends the token sequence of a text. Thread-safe.
class TextFrame {
 public:
  explicit TextFrame(const Tokenizer& tokenizer);

  /// bos, where the tokenizer puts one before a sequence; nothing otherwise.
  const TokenIds& start() const { return start_; }
  /// eos, or nothing.
  const TokenIds& end() const { return end_; }
  /// Number of ids at the front of `ids` that are bos.
  std::size_t leading_starts(const TokenIds& ids) const;

  /// Ids of a text that stands at the beginning.
  TokenIds opening(std::string_view text) const { return tokenizer_.encode(text); }

  /// Ids of a text that continues another one: without the word mark that some tokenizers (Llama's
  /// SentencePiece: "▁") put before whatever they are given. Not Tokenizer::encode_inside, which continues
  /// after a special token: older Llama tokenizers set their mark there too.
  TokenIds continuation(std::string_view text) const;

 private:
  bool marks_openings() const;
  std::optional<TokenIds> behind_anchor(std::string_view text) const;

  const Tokenizer& tokenizer_;
  TokenIds start_, end_;
  std::optional<std::int32_t> bos_;
  // Found out at the first continuation: where rows are token ids there may be no tokenizer for text at all.
  mutable std::once_flag probed_;
  mutable TokenIds anchor_;
  mutable bool marks_openings_ = false;
};

}  // namespace lora
