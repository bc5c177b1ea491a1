#include "data/language_rows.h"

#include <algorithm>
#include <utility>

#include "data/chat_layout.h"
#include "data/ignored_label.h"
#include "lora/base/error.h"

namespace lora {
namespace {

/// True if a loss is taken on every id that another one precedes.
bool is_all_labelled(const TokenIds& labels) {
  return labels.empty() || std::find(labels.begin() + 1, labels.end(), kIgnoredLabel) == labels.end();
}

/// The rows among `sequences` that have something to learn.
EncodedExample finish(std::vector<Sequence> sequences) {
  EncodedExample example;
  for (Sequence& sequence : sequences) {
    EncodedRow row;
    row.ids = std::move(sequence.ids);
    row.labels = std::move(sequence.labels);
    if (row.label_count() > 0) example.rows.push_back(std::move(row));
  }
  return example;
}

EncodedExample finish(Sequence sequence) {
  std::vector<Sequence> one;
  one.push_back(std::move(sequence));
  return finish(std::move(one));
}

}  // namespace

LanguageRows::LanguageRows(const Tokenizer& tokenizer, const EncodeOptions& options)
    : tokenizer_(tokenizer), options_(options), frame_(tokenizer) {}

EncodedExample LanguageRows::encode(const Content& content) const {
  if (const auto* row = std::get_if<PlainText>(&content)) return encode_text(*row);
  if (const auto* row = std::get_if<Chat>(&content)) return encode_messages(row->messages);
  if (const auto* row = std::get_if<TokenSequence>(&content)) return encode_tokens(*row);
  if (const auto* row = std::get_if<Instruction>(&content)) {
    if (options_.chat) return encode_messages(as_chat(*row));
    return encode(as_plain_prompt(*row));
  }
  if (const auto* row = std::get_if<PromptCompletion>(&content)) return fit(sequence(*row));
  if (const auto* row = std::get_if<MultipleChoice>(&content))
    return fit(sequence(PromptCompletion{row->prompt, row->choices[row->right]}));
  throw Error(ExitCode::mismatch, "rows with a label are for classifiers, and the model is a language model",
              "write the label as the completion of a prompt, or export the model with --task classify");
}

EncodedExample LanguageRows::encode_text(const PlainText& row) const {
  Sequence text;
  text.head = frame_.start().size();
  text.append(frame_.start(), true);
  text.append(frame_.opening(row.text), true);
  if (options_.append_eos) text.append(frame_.end(), true);
  return fit_text(std::move(text));
}

EncodedExample LanguageRows::encode_messages(std::vector<ChatMessage> messages) const {
  Sequence chat = sequence(messages);
  const std::size_t full_size = chat.size();
  while (is_cut(chat) && drop_oldest_exchange(messages)) chat = sequence(messages);
  chat.removed = full_size - chat.size();
  return fit(std::move(chat));
}

EncodedExample LanguageRows::encode_tokens(const TokenSequence& row) const {
  Sequence tokens;
  tokens.ids = row.ids;
  tokens.labels = row.labels;
  std::vector<bool> labelled;
  for (std::int32_t label : tokens.labels) labelled.push_back(label != kIgnoredLabel);
  tokens.answer = last_run(labelled);
  merge_front(tokens, frame_.leading_starts(tokens.ids));
  if (is_all_labelled(tokens.labels)) return fit_text(std::move(tokens));
  return fit(std::move(tokens));
}

Sequence LanguageRows::sequence(const PromptCompletion& row) const {
  const bool all = options_.loss_on == LossOn::all;
  Sequence result;
  result.head = frame_.start().size();
  result.append(frame_.start(), all);
  result.append(frame_.opening(row.prompt), all);
  result.answer = result.size();
  result.append(row.prompt.empty() ? frame_.opening(row.completion) : frame_.continuation(row.completion),
                true);
  if (options_.append_eos) result.append(frame_.end(), true);
  return result;
}

Sequence LanguageRows::sequence(const std::vector<ChatMessage>& messages, bool for_generation) const {
  const bool plain = !options_.chat, all = options_.loss_on == LossOn::all;
  const EncodedChat chat = plain ? encode_chat(plain_chat(), spaced(messages), tokenizer_, for_generation)
                                 : encode_chat(*options_.chat, messages, tokenizer_, for_generation);
  Sequence result;
  if (plain) result.append(frame_.start(), all);
  result.answer = result.size() + last_run(chat.answer);
  for (std::size_t i = 0; i < chat.ids.size(); ++i) {
    result.ids.push_back(chat.ids[i]);
    result.labels.push_back(all || chat.answer[i] ? chat.ids[i] : kIgnoredLabel);
  }
  if (plain && options_.append_eos && !for_generation && messages.back().role == "assistant")
    result.append(frame_.end(), true);
  merge_front(result, frame_.leading_starts(result.ids));
  return result;
}

EncodedPrompt LanguageRows::prompt(const std::string& text) const {
  Sequence sequence;
  sequence.append(frame_.start(), false);
  sequence.append(frame_.opening(text), false);
  merge_front(sequence, frame_.leading_starts(sequence.ids));
  return fit_prompt(std::move(sequence));
}

EncodedPrompt LanguageRows::prompt(std::vector<ChatMessage> messages) const {
  Sequence chat = sequence(messages, /*for_generation=*/true);
  const std::size_t full_size = chat.size();
  messages.push_back({"assistant", ""});  // the answer to come, which stays
  while (is_cut(chat) && drop_oldest_exchange(messages))
    chat = sequence({messages.begin(), messages.end() - 1}, /*for_generation=*/true);
  chat.removed = full_size - chat.size();
  return fit_prompt(std::move(chat));
}

EncodedPrompt LanguageRows::fit_prompt(Sequence sequence) const {
  sequence.answer = sequence.size();
  if (options_.max_length > 0) cut_before_answer(sequence, static_cast<std::size_t>(options_.max_length));
  return {std::move(sequence.ids), static_cast<std::int64_t>(sequence.removed)};
}

bool LanguageRows::is_cut(const Sequence& sequence) const {
  return options_.max_length > 0 && options_.overlong == Overlong::cut &&
         sequence.size() > static_cast<std::size_t>(options_.max_length);
}

/// A sequence that is answer throughout: cut into windows.
EncodedExample LanguageRows::fit_text(Sequence sequence) const {
  if (is_cut(sequence)) return finish(windows(sequence, static_cast<std::size_t>(options_.max_length)));
  return fit(std::move(sequence));
}

EncodedExample LanguageRows::fit(Sequence sequence) const {
  const auto max_length = static_cast<std::size_t>(options_.max_length);
  const bool fits = max_length == 0 || sequence.size() <= max_length;
  if (!fits && (options_.overlong != Overlong::cut || !cut_before_answer(sequence, max_length))) {
    return too_long(sequence.size() + sequence.removed, options_);
  }
  const auto removed = static_cast<std::int64_t>(sequence.removed);
  EncodedExample example = finish(std::move(sequence));
  if (!example.rows.empty()) example.cut_tokens = removed;
  return example;
}

}  // namespace lora
