#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "lora/data/example.h"
#include "lora/model/model_info.h"
#include "lora/tokenizer/chat.h"
#include "lora/tokenizer/tokenizer.h"

namespace lora {

enum class LossOn { completion, all };
enum class Overlong { cut, drop, error };

struct EncodeOptions {
  std::int64_t max_length = 0;  ///< tokens per row, 0 = no limit
  LossOn loss_on = LossOn::completion;
  /// cut trims the prompt from its left and keeps the answer; plain text becomes several windows.
  Overlong overlong = Overlong::cut;
  const ChatTemplate* chat = nullptr;  ///< for rows with messages and instructions; plain layouts if null
  Task task = Task::language_model;
  std::vector<std::string> labels;  ///< classifier: label names in logit order
  bool append_eos = true;           ///< after completions and texts, where the tokenizer has eos
  std::int64_t vocab_size = 0;      ///< ids beyond it are a mismatch error; 0 = unchecked
};

/// A row ready for batching. Language models: labels are aligned with ids (labels[t] is ids[t], or -100 where
/// no loss is taken) and make_batch shifts them. Classifiers: `target` is the class. Regressors: `value`.
struct EncodedRow {
  TokenIds ids;
  TokenIds labels;                  ///< same length as ids; empty for text heads
  std::vector<std::int32_t> types;  ///< token types; empty if all zero
  std::int64_t target = -1;
  double value = 0;
  std::int64_t line = 0;
  std::int64_t label_count() const;  ///< labels that are not -100, the first position not counted
};

struct EncodeReport {
  Task task = Task::language_model;
  std::int64_t rows = 0, tokens = 0;
  std::int64_t labelled = 0;       ///< labelled tokens; rows of a text head
  std::int64_t cut = 0;            ///< rows shortened
  std::int64_t cut_tokens = 0;     ///< tokens removed from them
  std::int64_t split = 0;          ///< plain texts cut into several windows; no token of them is lost
  std::int64_t dropped_long = 0;   ///< rows dropped because no answer fits, or by Overlong::drop
  std::int64_t dropped_empty = 0;  ///< rows without any labelled token
  /// One line for the plan: "8,572 rows, 301,220 tokens (4 % labelled), 3 cut, 0 dropped".
  std::string summary() const;
};

struct EncodedSet {
  std::vector<EncodedRow> rows;
  EncodeReport report;
};

/// Tokenises every row, in parallel over `threads`; the result does not depend on their number. Exactly one
/// bos is kept (double bos is merged) and content never becomes a control token. Data error: label unknown to
/// a classifier (all unknown ones listed), label of a regressor that is no number, every row dropped, a row
/// too long under Overlong::error. Mismatch: id outside the vocabulary, rows of a classifier for a language
/// model or the other way round.
EncodedSet encode(const DataSet& data, const Tokenizer& tokenizer, const EncodeOptions& options, int threads);

/// What precedes an answer, as training sees it, and how many of its ids were cut to keep max_length: the
/// oldest exchanges of messages, then the beginning, bos apart.
struct EncodedPrompt {
  TokenIds ids;
  std::int64_t cut_tokens = 0;
};

EncodedPrompt encode_prompt(const std::string& text, const Tokenizer& tokenizer,
                            const EncodeOptions& options);
/// data error for a role that the template, or the plain layout where there is none, does not know.
EncodedPrompt encode_prompt(const std::vector<ChatMessage>& messages, const Tokenizer& tokenizer,
                            const EncodeOptions& options);

/// Ids of prompt and completion as training sees them: [bos] prompt completion [eos], bos where the tokenizer
/// puts one. Shared by encode and by the scoring of label words. A completion is encoded with its leading
/// space, apart from the prompt. Cut to max_length from the prompt's left; without labels if the completion
/// alone is too long.
EncodedRow encode_prompt_completion(const PromptCompletion& row, const Tokenizer& tokenizer,
                                    const EncodeOptions& options);

}  // namespace lora
