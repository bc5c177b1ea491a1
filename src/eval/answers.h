#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "eval/generation.h"
#include "eval/metrics/text_metric.h"
#include "eval/prompts.h"
#include "eval/variant.h"

namespace lora {

/// Prompts that every variant of a base answers.
class Answers {
 public:
  /// data error for a prompt without tokens; otherwise as encode_prompt.
  Answers(std::vector<Prompt> prompts, std::int64_t max_new_tokens, const LoadedModel& base);

  const std::vector<Prompt>& prompts() const { return prompts_; }
  /// The likeliest texts, token by token.
  std::vector<std::string> by(const Variant& variant) const;
  /// The texts with what they are compared with.
  std::vector<ScoredText> beside_references(const std::vector<std::string>& texts) const;

 private:
  const LoadedModel& base_;
  std::vector<Prompt> prompts_;
  std::vector<TokenIds> ids_;
  GenerationOptions options_;
};

}  // namespace lora
