#include "lora/data/encode.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "data/class_labels.h"
#include "data/ignored_label.h"
#include "data/labelled_rows.h"
#include "data/language_rows.h"
#include "data/parallel_rows.h"
#include "lora/base/error.h"
#include "lora/base/text.h"

namespace lora {
namespace {

void check_options(const EncodeOptions& options) {
  if (options.max_length == 0 || options.max_length >= 2) return;
  throw Error(ExitCode::usage, cat("--max-length ", options.max_length, ": a row needs at least 2 tokens"));
}

void check_vocabulary(const EncodedExample& example, const EncodeOptions& options) {
  if (options.vocab_size == 0) return;
  for (const EncodedRow& row : example.rows) {
    for (std::int32_t id : row.ids) {
      if (id >= 0 && id < options.vocab_size) continue;
      throw Error(ExitCode::mismatch,
                  cat("token id ", id, " is beyond the model's vocabulary of ", options.vocab_size),
                  "use the tokenizer (or the input_ids) that belongs to this model");
    }
  }
}

/// Encodes the examples one by one; errors name the row.
std::vector<EncodedExample> encode_all(const DataSet& data, const Tokenizer& tokenizer,
                                       const EncodeOptions& options, int threads) {
  const ClassLabels labels(options.labels);
  if (options.task == Task::classification) labels.check(data);
  const LabelledRows labelled_rows(tokenizer, options, labels);
  const LanguageRows language_rows(tokenizer, options);
  std::vector<EncodedExample> encoded(data.examples.size());
  for_each_row(data.examples.size(), threads, [&](std::size_t i) {
    const Example& example = data.examples[i];
    try {
      encoded[i] = has_text_head(options.task) ? labelled_rows.encode(example.content)
                                               : language_rows.encode(example.content);
      check_vocabulary(encoded[i], options);
    } catch (const Error& error) {
      throw Error(error.code(), cat(data.place(example.line), ": ", error.what()), error.hint());
    }
    for (EncodedRow& row : encoded[i].rows) row.line = example.line;
  });
  return encoded;
}

void count(const EncodedExample& example, EncodeReport& report) {
  if (example.rows.empty()) ++(example.too_long ? report.dropped_long : report.dropped_empty);
  report.rows += static_cast<std::int64_t>(example.rows.size());
  report.cut += example.cut_tokens > 0;
  report.cut_tokens += example.cut_tokens;
  report.split += example.rows.size() > 1;
  for (const EncodedRow& row : example.rows) {
    report.tokens += static_cast<std::int64_t>(row.ids.size());
    report.labelled += has_text_head(report.task) ? 1 : row.label_count();
  }
}

void check_any_left(const DataSet& data, const EncodeReport& report, const EncodeOptions& options) {
  if (report.rows > 0) return;
  std::string limit;
  if (options.max_length > 0) limit = cat(" for a max_length of ", options.max_length);
  throw Error(ExitCode::data,
              cat(data.path.string(), ": no row is left of ", data.examples.size(), ": ", report.dropped_long,
                  " are too long", limit, ", ", report.dropped_empty, " have no labelled token"),
              "raise --max-length; --loss-on all takes the loss on every token");
}

}  // namespace

std::int64_t EncodedRow::label_count() const {
  if (labels.empty()) return 0;
  return std::count_if(labels.begin() + 1, labels.end(),
                       [](std::int32_t label) { return label != kIgnoredLabel; });
}

EncodedSet encode(const DataSet& data, const Tokenizer& tokenizer, const EncodeOptions& options,
                  int threads) {
  check_options(options);
  EncodedSet set;
  set.report.task = options.task;
  for (EncodedExample& example : encode_all(data, tokenizer, options, threads)) {
    count(example, set.report);
    std::move(example.rows.begin(), example.rows.end(), std::back_inserter(set.rows));
  }
  check_any_left(data, set.report, options);
  return set;
}

EncodedPrompt encode_prompt(const std::string& text, const Tokenizer& tokenizer,
                            const EncodeOptions& options) {
  return LanguageRows(tokenizer, options).prompt(text);
}

EncodedPrompt encode_prompt(const std::vector<ChatMessage>& messages, const Tokenizer& tokenizer,
                            const EncodeOptions& options) {
  return LanguageRows(tokenizer, options).prompt(messages);
}

EncodedRow encode_prompt_completion(const PromptCompletion& row, const Tokenizer& tokenizer,
                                    const EncodeOptions& options) {
  Sequence sequence = LanguageRows(tokenizer, options).sequence(row);
  const auto max_length = static_cast<std::size_t>(options.max_length);
  const bool fits = max_length == 0 || cut_before_answer(sequence, max_length);
  EncodedRow encoded;
  if (!fits) return encoded;
  encoded.ids = std::move(sequence.ids);
  encoded.labels = std::move(sequence.labels);
  return encoded;
}

}  // namespace lora
