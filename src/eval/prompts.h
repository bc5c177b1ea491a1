#pragma once

#include <optional>
#include <string>
#include <vector>

#include "eval/loaded_model.h"
#include "lora/config/generate_config.h"

namespace lora {

/// Something to answer.
struct Prompt {
  std::string text;                          ///< to continue, if there are no messages
  std::vector<ChatMessage> messages;         ///< to answer
  std::optional<std::string> adapter;        ///< unset: every adapter; empty: the base
  std::vector<std::string> references = {};  ///< what the answer may be compared with
};

/// From --prompt and --data. usage error if there are none; data error with the line of a row that is no
/// object with "prompt" (text) or "messages" (role, content), and optionally "adapter". References are
/// "references", "completion", or an assistant's message at the end, which is then to be written anew.
std::vector<Prompt> read_prompts(const GenerateConfig& config);

/// Those of a file, JSONL or a JSON array; errors as above. `options`: names of fields, how many
/// rows, and how many bad ones may be skipped.
std::vector<Prompt> read_prompt_rows(const std::string& path, const ReadOptions& options = {});

/// What people are shown of it: the text, or the last message.
std::string prompt_text(const Prompt& prompt);

/// As a training sees the beginning of a row. usage error if messages meet a model without a chat template.
TokenIds encode_prompt(const Prompt& prompt, const LoadedModel& model);

}  // namespace lora
