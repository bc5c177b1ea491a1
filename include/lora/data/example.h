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
struct LabelledText {
  std::string text;
  std::optional<std::string> text_pair;
  std::string label;
};
struct Chat {
  std::vector<ChatMessage> messages;
};
struct TokenSequence {
  TokenIds ids;
  TokenIds labels;
};  ///< labels: -100 where no loss
struct LabelledTokens {
  TokenIds ids;
  std::string label;
};

using Content = std::variant<PlainText, PromptCompletion, LabelledText, Chat, TokenSequence, LabelledTokens>;

/// One row of a data file.
struct Example {
  std::int64_t line = 0;  ///< 1-based line (JSONL) or element (array)
  Content content;
};

struct ReadOptions {
  std::map<std::string, std::string> fields;  ///< standard field -> name in the file: {"prompt", "question"}
  std::int64_t skip_bad = 0;                  ///< so many malformed rows may be skipped and counted
  std::int64_t limit = 0;                     ///< use the first rows only; 0 = all
};

struct DataSet {
  std::filesystem::path path;
  std::string sha256;  ///< of the file
  std::vector<Example> examples;
  std::int64_t skipped_bad = 0;
};

/// Reads a JSON array or JSONL file (decided by its first character). Row shapes, by their fields:
///   text | prompt, completion | text, label[, text_pair] | messages | instruction[, input], output |
///   input_ids, labels | input_ids, label
/// Data error with file, line, column and excerpt for a malformed row, an unknown shape, mixed shapes, or an
/// empty file. Labels may be strings, integers or booleans; they are kept as text.
DataSet read_data(const std::filesystem::path& path, const ReadOptions& options);

}  // namespace lora
