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
  std::vector<ChatMessage> messages;         ///< to answer; with a text: where the model has a chat template
  std::optional<std::string> adapter;        ///< unset: every adapter; empty: the base
  std::vector<std::string> references = {};  ///< what the answer may be compared with
  std::string place = {};                    ///< where it stands, for messages: "prompts.jsonl line 3"
};

/// What precedes a row's answer, with the answer as reference: of rows that training reads too, except those
/// of ids, labels and plain text, which have none.
std::optional<Prompt> prompt_of(const Content& content);

/// From --prompt and --data. usage error if there are none or one is empty; data error with the line of a row
/// that has no shape of a prompt: "prompt" (text), "messages" (role, content) or "instruction", and
/// optionally "adapter". References are "references", or what prompt_of() says.
std::vector<Prompt> read_prompts(const GenerateConfig& config);

/// Those of a file, JSONL or a JSON array; errors as above. `options`: names of fields, how many
/// rows, and how many bad ones may be skipped.
std::vector<Prompt> read_prompt_rows(const std::string& path, const ReadOptions& options = {});

/// What people are shown of it: the text, or the last message.
std::string prompt_text(const Prompt& prompt);

/// As a training sees the beginning of a row. Where it leaves less room in the model's context than an answer
/// may need (`max_new_tokens`, at most half the context) it loses its beginning; a warning counts such
/// prompts. data error that names the place of a prompt without tokens or with an unknown role.
std::vector<TokenIds> encode_prompts(const std::vector<Prompt>& prompts, const LoadedModel& model,
                                     std::int64_t max_new_tokens);

/// The same for one, whole.
TokenIds encode_prompt(const Prompt& prompt, const LoadedModel& model);

}  // namespace lora
