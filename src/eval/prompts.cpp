#include "eval/prompts.h"

#include <variant>

#include "base/json.h"
#include "data/row_contents.h"
#include "data/row_shape.h"
#include "data/row_source.h"
#include "lora/base/error.h"
#include "lora/base/files.h"
#include "lora/base/text.h"

namespace lora {
namespace {

std::vector<ChatMessage> messages_of(const Json& json, const JsonOrigin& origin) {
  if (!json.is_array() || json.empty())
    throw Error(origin.code, cat(origin.place, ": \"messages\" is no list of messages"));
  std::vector<ChatMessage> messages;
  for (const Json& item : json) {
    messages.push_back({json_string(json_at(item, "role", origin), "role", origin),
                        json_string(json_at(item, "content", origin), "content", origin)});
  }
  return messages;
}

/// The row with the standard fields that `fields` maps under their names.
Json parse_row(std::string_view text, const std::map<std::string, std::string>& fields,
               const JsonOrigin& origin) {
  Json row = parse_json(text, origin);
  if (!row.is_object()) return row;
  for (const auto& [standard, theirs] : fields) {
    if (row.contains(theirs)) row[standard] = row[theirs];
  }
  return row;
}

/// The right one of a row's choices.
std::string right_answer(const Json& json, const JsonOrigin& origin) {
  const FieldNames names({}, standard_fields());
  const auto question = std::get<MultipleChoice>(read_multiple_choice(RowFields(json, names, origin)));
  return std::string(trim(question.choices[question.right]));
}

Prompt parse_prompt(const Json& json, const JsonOrigin& origin) {
  if (!json.is_object() || json.contains("prompt") == json.contains("messages")) {
    throw Error(origin.code,
                cat(origin.place, ": a row is an object with either \"prompt\" or \"messages\""));
  }
  Prompt prompt;
  if (json.contains("messages"))
    prompt.messages = messages_of(json["messages"], origin);
  else
    prompt.text = json_string(json["prompt"], "prompt", origin);
  if (json.contains("adapter") && !json["adapter"].is_null())
    prompt.adapter = json_string(json["adapter"], "adapter", origin);
  if (json.contains("completion") && json["completion"].is_string())
    prompt.references = {std::string(trim(json["completion"].get<std::string>()))};
  if (json.contains("choices") && json.contains("answer")) prompt.references = {right_answer(json, origin)};
  if (json.contains("references")) {
    prompt.references.clear();
    if (!json["references"].is_array())
      throw Error(origin.code, cat(origin.place, ": \"references\" is no list"));
    for (const Json& text : json["references"])
      prompt.references.push_back(json_string(text, "references", origin));
  }
  if (prompt.messages.size() > 1 && prompt.messages.back().role == "assistant") {
    if (prompt.references.empty()) prompt.references = {prompt.messages.back().content};
    prompt.messages.pop_back();
  }
  return prompt;
}

}  // namespace

std::vector<Prompt> read_prompts(const GenerateConfig& config) {
  std::vector<Prompt> prompts;
  for (const std::string& text : config.prompts) prompts.push_back({text, {}, {}});
  if (!config.data.empty()) {
    for (Prompt& prompt : read_prompt_rows(config.data)) prompts.push_back(std::move(prompt));
  }
  if (prompts.empty())
    throw Error(ExitCode::usage, "there is nothing to answer", "give --prompt TEXT or --data FILE");
  if (config.chat) {
    for (Prompt& prompt : prompts) {
      if (prompt.messages.empty()) prompt.messages = {{"user", prompt.text}};
    }
  }
  return prompts;
}

std::vector<Prompt> read_prompt_rows(const std::string& path, const ReadOptions& options) {
  std::vector<Prompt> prompts;
  const MappedFile file(path);
  RowSource source(file.bytes(), path);
  std::int64_t skipped = 0;
  while (options.limit == 0 || static_cast<std::int64_t>(prompts.size()) < options.limit) {
    const auto row = source.next();
    if (!row) break;
    const JsonOrigin origin{cat(path, source.is_array() ? " element " : " line ", row->number),
                            ExitCode::data};
    try {
      prompts.push_back(parse_prompt(parse_row(row->text, options.fields, origin), origin));
    } catch (const Error&) {
      if (++skipped > options.skip_bad) throw;
    }
  }
  if (prompts.empty()) throw Error(ExitCode::data, cat(path, " holds no row"));
  return prompts;
}

std::string prompt_text(const Prompt& prompt) {
  return prompt.messages.empty() ? prompt.text : prompt.messages.back().content;
}

TokenIds encode_prompt(const Prompt& prompt, const LoadedModel& model) {
  if (prompt.messages.empty()) {
    EncodeOptions options;
    options.append_eos = false;
    return encode_prompt_completion({prompt.text, ""}, *model.tokenizer, options).ids;
  }
  if (!model.chat) {
    throw Error(ExitCode::usage, cat("\"", model.program.path().string(), "\" has no chat template"),
                "give prompts as text, or export a model that was trained for chats");
  }
  return encode_chat(*model.chat, prompt.messages, *model.tokenizer, /*for_generation=*/true).ids;
}

}  // namespace lora
