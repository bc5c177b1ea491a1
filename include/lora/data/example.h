#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "lora/tokenizer/chat.h"

namespace lora {

struct PlainText {
  std::string text;
};
struct PromptCompletion {
  std::string prompt, completion;
};
struct MultipleChoice {
  std::string prompt;
  std::vector<std::string> choices;  ///< at least two, none empty, no two alike
  std::size_t right = 0;             ///< number of the right one
};
struct LabelledText {
  std::string text;
  std::optional<std::string> text_pair;
  std::string label;
};
struct Chat {
  std::vector<ChatMessage> messages;
};
struct Instruction {
  std::string instruction, input, output;  ///< input may be empty
};
struct TokenSequence {
  TokenIds ids;
  TokenIds labels;  ///< aligned with ids: the id itself, or -100 where no loss is taken
};
struct LabelledTokens {
  TokenIds ids;
  std::string label;
};

using Content = std::variant<PlainText, PromptCompletion, MultipleChoice, LabelledText, Chat, Instruction,
                             TokenSequence, LabelledTokens>;

/// One row of a data file.
struct Example {
  std::int64_t line = 0;  ///< 1-based line (JSONL) or element (array)
  Content content;
};

struct ReadOptions {
  std::map<std::string, std::string> fields;  ///< standard field -> name in the file: {"prompt", "question"}
  std::int64_t skip_bad = 0;                  ///< so many bad rows may be skipped and counted
  std::int64_t limit = 0;                     ///< use the first rows only; 0 = all
};

struct DataSet {
  std::filesystem::path path;
  std::string sha256;  ///< of the file
  std::vector<Example> examples;
  std::int64_t skipped_bad = 0;
  bool is_array = false;  ///< a JSON array; a JSONL file otherwise

  /// "train.jsonl line 17" or "train.json element 17".
  std::string place(std::int64_t line) const;
};

/// Reads a JSON array or JSONL file (decided by its first character). Row shapes, by their fields; of several
/// that fit the first one counts:
///   messages | prompt, choices, answer | prompt, completion | instruction, output[, input] | input_ids,
///   labels[, attention_mask] | input_ids, label[, attention_mask] | text, label[, text_pair] | text
/// Further fields are ignored and named in the log; a field that is null counts as absent. Data error with
/// file, line, column and excerpt for a malformed row, an unknown shape, mixed shapes, or an empty file.
/// Labels may be strings, numbers or booleans; they are kept as text. Usage error: `fields` names no standard
/// field.
DataSet read_data(const std::filesystem::path& path, const ReadOptions& options);

}  // namespace lora
