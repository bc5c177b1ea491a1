#pragma once

#include <vector>

#include "data/encoded_example.h"
#include "data/sequence.h"
#include "data/text_frame.h"
#include "lora/data/encode.h"

namespace lora {

/// Encodes examples for a language model. Thread-safe; errors do not name the row.
class LanguageRows {
 public:
  LanguageRows(const Tokenizer& tokenizer, const EncodeOptions& options);

  EncodedExample encode(const Content& content) const;

  Sequence sequence(const PromptCompletion& row) const;

  /// As encode_prompt().
  EncodedPrompt prompt(const std::string& text) const;
  EncodedPrompt prompt(std::vector<ChatMessage> messages) const;

 private:
  EncodedExample encode_text(const PlainText& row) const;
  EncodedExample encode_messages(std::vector<ChatMessage> messages) const;
  EncodedExample encode_tokens(const TokenSequence& row) const;
  Sequence sequence(const std::vector<ChatMessage>& messages, bool for_generation = false) const;
  EncodedPrompt fit_prompt(Sequence sequence) const;
  EncodedExample fit_text(Sequence sequence) const;
  EncodedExample fit(Sequence sequence) const;
  bool is_cut(const Sequence& sequence) const;

  const Tokenizer& tokenizer_;
  const EncodeOptions& options_;
  TextFrame frame_;
};

}  // namespace lora
