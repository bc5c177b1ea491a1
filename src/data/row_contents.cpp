#include "data/row_contents.h"

#include <algorithm>
#include <initializer_list>
#include <limits>

#include "data/ignored_label.h"
#include "lora/base/text.h"

namespace lora {
namespace {

std::string label_text(const RowFields& row) {
  const Json& value = row.value("label");
  if (value.is_string()) return row.non_empty_text("label");
  if (value.is_boolean() || value.is_number()) return value.dump();
  row.refuse("label", cat("must be a string, a number or a boolean, found ", value.type_name()));
}

std::vector<std::string> choices_of(const RowFields& row) {
  const Json& array = row.value("choices");
  if (!array.is_array()) row.refuse("choices", cat("must be an array of texts, found ", array.type_name()));
  std::vector<std::string> choices;
  for (const Json& item : array) {
    choices.push_back(json_string(item, row.name("choices"), row.origin()));
    const std::string& text = choices.back();
    if (trim(text).empty()) row.refuse("choices", cat("entry ", choices.size(), " is empty"));
    if (std::count(choices.begin(), choices.end(), text) > 1)
      row.refuse("choices", cat("holds \"", printable(text), "\" twice"));
  }
  if (choices.size() < 2) row.refuse("choices", cat("holds ", choices.size(), ", at least 2 are needed"));
  return choices;
}

/// The answer by its text, its number from 0, or its letter from A.
std::size_t right_choice(const RowFields& row, const std::vector<std::string>& choices) {
  const Json& answer = row.value("answer");
  if (answer.is_number_integer()) {
    const std::int64_t number = json_int(answer, row.name("answer"), row.origin());
    if (number >= 0 && number < static_cast<std::int64_t>(choices.size()))
      return static_cast<std::size_t>(number);
    row.refuse("answer", cat("is ", number, ", but the choices are 0 to ", choices.size() - 1));
  }
  const std::string text = row.text("answer");
  for (std::size_t i = 0; i < choices.size(); ++i) {
    if (trim(choices[i]) == trim(text)) return i;
  }
  const auto letter = static_cast<std::size_t>(text.size() == 1 ? text[0] - 'A' : -1);
  if (letter < choices.size()) return letter;
  row.refuse("answer", cat("is \"", printable(text),
                           "\": give a choice's text, its number from 0, or its letter from A"));
}

/// A field that is an array of ids >= `lowest`.
TokenIds ids_of(const RowFields& row, const std::string& field, std::int64_t lowest) {
  const Json& array = row.value(field);
  if (!array.is_array()) row.refuse(field, cat("must be an array of token ids, found ", array.type_name()));
  if (array.empty()) row.refuse(field, "is empty");
  TokenIds ids;
  ids.reserve(array.size());
  for (const Json& item : array) {
    const std::int64_t id = json_int(item, row.name(field), row.origin());
    if (id < lowest || id > std::numeric_limits<std::int32_t>::max()) {
      row.refuse(field, cat("holds ", id, ", which is no token id"));
    }
    ids.push_back(static_cast<std::int32_t>(id));
  }
  return ids;
}

/// Removes what attention_mask, if the row has one, marks as padding.
void remove_padding(const RowFields& row, std::initializer_list<TokenIds*> lists) {
  if (!row.find("attention_mask")) return;
  const TokenIds mask = ids_of(row, "attention_mask", 0);
  for (TokenIds* list : lists) {
    if (list->size() != mask.size()) {
      row.refuse("attention_mask", cat("has ", mask.size(), " entries for ", list->size(), " ids"));
    }
    std::size_t kept = 0;
    for (std::size_t i = 0; i < mask.size(); ++i) {
      if (mask[i] != 0) (*list)[kept++] = (*list)[i];
    }
    if (kept == 0) row.refuse("attention_mask", "marks every id as padding");
    list->resize(kept);
  }
}

}  // namespace

Content read_messages(const RowFields& row) {
  const Json& array = row.value("messages");
  if (!array.is_array()) row.refuse("messages", cat("must be an array, found ", array.type_name()));
  if (array.empty()) row.refuse("messages", "is empty");
  Chat chat;
  for (const Json& item : array) {
    const JsonOrigin origin{cat(row.origin().place, ", message ", chat.messages.size() + 1),
                            row.origin().code};
    const RowFields message(item, row.names(), origin);
    for (const char* field : {"role", "content"}) {
      if (!message.find(field)) message.refuse(field, "is missing");
    }
    chat.messages.push_back({message.non_empty_text("role"), message.text("content")});
  }
  return chat;
}

Content read_prompt_completion(const RowFields& row) {
  return PromptCompletion{row.text("prompt"), row.non_empty_text("completion")};
}

Content read_multiple_choice(const RowFields& row) {
  MultipleChoice question{row.text("prompt"), choices_of(row), 0};
  question.right = right_choice(row, question.choices);
  return question;
}

Content read_instruction(const RowFields& row) {
  return Instruction{row.text("instruction"), row.find("input") ? row.text("input") : "",
                     row.non_empty_text("output")};
}

Content read_token_sequence(const RowFields& row) {
  TokenSequence sequence{ids_of(row, "input_ids", 0), ids_of(row, "labels", kIgnoredLabel)};
  if (sequence.ids.size() != sequence.labels.size()) {
    row.refuse("labels",
               cat("has ", sequence.labels.size(), " entries for ", sequence.ids.size(), " input ids"));
  }
  for (std::size_t i = 0; i < sequence.ids.size(); ++i) {
    const std::int32_t label = sequence.labels[i];
    if (label == kIgnoredLabel || label == sequence.ids[i]) continue;
    row.refuse("labels",
               cat("entry ", i + 1, " is ", label, ", must be the input id there, ", sequence.ids[i], ", or ",
                   kIgnoredLabel, " for no loss: labels are aligned with the ids, not shifted"));
  }
  remove_padding(row, {&sequence.ids, &sequence.labels});
  return sequence;
}

Content read_labelled_tokens(const RowFields& row) {
  LabelledTokens tokens{ids_of(row, "input_ids", 0), label_text(row)};
  remove_padding(row, {&tokens.ids});
  return tokens;
}

Content read_labelled_text(const RowFields& row) {
  LabelledText content{row.non_empty_text("text"), std::nullopt, label_text(row)};
  if (row.find("text_pair")) content.text_pair = row.text("text_pair");
  return content;
}

Content read_plain_text(const RowFields& row) { return PlainText{row.non_empty_text("text")}; }

}  // namespace lora
