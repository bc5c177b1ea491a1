#pragma once

#include "data/class_labels.h"
#include "data/encoded_example.h"
#include "lora/data/encode.h"

namespace lora {

/// Encodes examples for a classifier or a regressor. Thread-safe; errors do not name the row. A classifier's
/// labels must be classes already; a regressor's that are no finite number are data errors.
class LabelledRows {
 public:
  LabelledRows(const Tokenizer& tokenizer, const EncodeOptions& options, const ClassLabels& labels);

  EncodedExample encode(const Content& content) const;

 private:
  EncodedExample encode_text(const LabelledText& row) const;
  EncodedExample encode_tokens(const LabelledTokens& row) const;
  EncodedExample finish(TokenPair tokens, const std::string& label, std::size_t full_size) const;
  std::size_t room(std::size_t size) const;

  const Tokenizer& tokenizer_;
  const EncodeOptions& options_;
  const ClassLabels& labels_;
};

}  // namespace lora
