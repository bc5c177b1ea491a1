#include "eval/prompts.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "base/json.h"
#include "data/chat_layout.h"
#include "data/row_shape.h"
#include "data/row_source.h"
#include "lora/base/error.h"
#include "lora/base/files.h"
#include "lora/base/log.h"
#include "lora/base/text.h"

namespace lora {
namespace {

constexpr std::size_t kExcerpt = 40;  ///< bytes of a prompt shown in a message

std::vector<std::string> references_of(const Json& array, const JsonOrigin& origin) {
  if (!array.is_array())
    throw Error(origin.code, cat(origin.place, ": \"references\" is no list"),
                "give \"references\": [\"one text\", \"another\"]");
  std::vector<std::string> texts;
  for (const Json& text : array) texts.push_back(json_string(text, "references", origin));
  return texts;
}

/// What the row's shape asks, or its prompt without an answer.
Prompt question_of(const RowFields& row) {
  for (const RowShape& shape : row_shapes()) {
    if (!shape.fits(row)) continue;
    if (auto prompt = prompt_of(shape.read(row))) return *prompt;
  }
  if (row.find("prompt")) return {row.text("prompt"), {}, {}};
  throw Error(row.origin().code,
              cat(row.origin().place,
                  ": a row to answer has \"prompt\", \"messages\" or \"instruction\" with \"output\""));
}

Prompt parse_prompt(const Json& json, const FieldNames& names, const JsonOrigin& origin) {
  const RowFields row(json, names, origin);
  Prompt prompt = question_of(row);
  prompt.place = origin.place;
  const auto has = [&](const char* key) { return json.contains(key) && !json[key].is_null(); };
  if (has("adapter")) prompt.adapter = json_string(json["adapter"], "adapter", origin);
  if (has("references")) prompt.references = references_of(json["references"], origin);
  return prompt;
}

EncodedPrompt encoded(const Prompt& prompt, const LoadedModel& model, std::int64_t max_length) {
  EncodeOptions options;
  options.chat = model.chat.get();
  options.max_length = max_length;
  const bool continues = prompt.messages.empty() || (!model.chat && !prompt.text.empty());
  return continues ? encode_prompt(prompt.text, *model.tokenizer, options)
                   : encode_prompt(prompt.messages, *model.tokenizer, options);
}

/// Tokens that a prompt may have; 0 = no limit.
std::int64_t most_tokens(const LoadedModel& model, std::int64_t max_new_tokens) {
  const std::int64_t context = model.program.info().context_length;
  return context == 0 ? 0 : context - std::min(max_new_tokens, context / 2);
}

}  // namespace

std::optional<Prompt> prompt_of(const Content& content) {
  if (const auto* row = std::get_if<PromptCompletion>(&content))
    return Prompt{row->prompt, {}, {}, {std::string(trim(row->completion))}};
  if (const auto* row = std::get_if<MultipleChoice>(&content))
    return Prompt{row->prompt, {}, {}, {std::string(trim(row->choices[row->right]))}};
  if (const auto* row = std::get_if<Instruction>(&content)) {
    Prompt prompt{as_plain_prompt(*row).prompt, as_chat(*row), {}, {std::string(trim(row->output))}};
    prompt.messages.pop_back();
    return prompt;
  }
  const auto* chat = std::get_if<Chat>(&content);
  if (!chat) return std::nullopt;
  Prompt prompt{"", chat->messages, {}};
  if (prompt.messages.size() > 1 && prompt.messages.back().role == "assistant") {
    prompt.references = {prompt.messages.back().content};
    prompt.messages.pop_back();
  }
  return prompt;
}

std::vector<Prompt> read_prompts(const GenerateConfig& config) {
  std::vector<Prompt> prompts;
  for (const std::string& text : config.prompts) {
    if (text.empty()) throw Error(ExitCode::usage, "--prompt is empty", "give a text to continue");
    prompts.push_back({text, {}, {}, {}, cat("--prompt \"", printable(text.substr(0, kExcerpt)), "\"")});
  }
  if (!config.data.empty()) {
    for (Prompt& prompt : read_prompt_rows(config.data)) prompts.push_back(std::move(prompt));
  }
  if (prompts.empty())
    throw Error(ExitCode::usage, "there is nothing to answer", "give --prompt TEXT or --data FILE");
  if (config.chat) {
    for (Prompt& prompt : prompts) {
      if (prompt.messages.empty()) prompt.messages = {{"user", std::exchange(prompt.text, {})}};
    }
  }
  return prompts;
}

std::vector<Prompt> read_prompt_rows(const std::string& path, const ReadOptions& options) {
  std::vector<Prompt> prompts;
  const MappedFile file(path);
  RowSource source(file.bytes(), path);
  const FieldNames names(options.fields, standard_fields());
  std::int64_t skipped = 0;
  while (options.limit == 0 || static_cast<std::int64_t>(prompts.size()) < options.limit) {
    const auto row = source.next();
    if (!row) break;
    const JsonOrigin origin{cat(path, source.is_array() ? " element " : " line ", row->number),
                            ExitCode::data};
    try {
      prompts.push_back(parse_prompt(parse_json(row->text, origin), names, origin));
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
  return encoded(prompt, model, /*max_length=*/0).ids;
}

std::vector<TokenIds> encode_prompts(const std::vector<Prompt>& prompts, const LoadedModel& model,
                                     std::int64_t max_new_tokens) {
  const std::int64_t most = most_tokens(model, max_new_tokens);
  std::vector<TokenIds> all;
  std::int64_t cut = 0, cut_tokens = 0;
  for (const Prompt& prompt : prompts) {
    try {
      const EncodedPrompt one = encoded(prompt, model, most);
      if (one.ids.empty()) throw Error(ExitCode::data, "the prompt has no token", "give at least one word");
      cut += one.cut_tokens > 0;
      cut_tokens += one.cut_tokens;
      all.push_back(one.ids);
    } catch (const Error& error) {
      throw Error(error.code(), cat(prompt.place, ": ", error.what()), error.hint());
    }
  }
  if (cut > 0)
    log_warn("generate", cut, " of ", prompts.size(), " prompts lose their beginning, ", cut_tokens,
             " tokens in all: with their answers they exceed the model's context of ",
             model.program.info().context_length);
  return all;
}

}  // namespace lora
