#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "eval/generation.h"
#include "eval/metrics/text_metric.h"
#include "eval/prompts.h"
#include "eval/variant.h"
#include "lora/config/eval_config.h"

namespace lora {

/// What every variant is to answer: for --metrics the first rows, each with references; otherwise the
/// examples of the report. data error for a row without references; usage error for --metrics of a
/// classifier.
std::vector<Prompt> prompts_to_answer(const CompareConfig& config, const DataSet& data, Task task);

/// Prompts that every variant of a base answers.
class Answers {
 public:
  /// Errors as encode_prompts.
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
