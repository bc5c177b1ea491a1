#pragma once

#include "data/class_labels.h"
#include "data/encoded_example.h"
#include "lora/data/encode.h"

namespace lora {

/// Encodes examples for a classifier. Thread-safe; errors do not name the row. Labels must be classes
/// already.
class ClassRows {
 public:
  ClassRows(const Tokenizer& tokenizer, const EncodeOptions& options, const ClassLabels& labels);

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
