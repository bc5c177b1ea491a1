#include "data/labelled_rows.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <utility>
#include <variant>

#include "lora/base/error.h"
#include "lora/base/text.h"

namespace lora {
namespace {

/// Shortens the longer of two sequences first, from its right, until both have at most `room` ids together.
void shorten(TokenIds& first, TokenIds& second, std::size_t room) {
  while (first.size() + second.size() > room) (first.size() > second.size() ? first : second).pop_back();
}

double number_of(const std::string& label) {
  double number = 0;
  const std::string_view text = trim(label);
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error == std::errc() && end == text.data() + text.size() && std::isfinite(number)) return number;
  throw Error(ExitCode::data,
              cat("label \"", printable(label), "\" is no number, and the model is a regressor"),
              "give numbers, or export the model with --task classify");
}

}  // namespace

LabelledRows::LabelledRows(const Tokenizer& tokenizer, const EncodeOptions& options,
                           const ClassLabels& labels)
    : tokenizer_(tokenizer), options_(options), labels_(labels) {}

EncodedExample LabelledRows::encode(const Content& content) const {
  if (const auto* row = std::get_if<LabelledText>(&content)) return encode_text(*row);
  if (const auto* row = std::get_if<LabelledTokens>(&content)) return encode_tokens(*row);
  throw Error(ExitCode::mismatch, "the model is a classifier or a regressor, and the row has no label",
              "give rows of {text, label} or {input_ids, label}");
}

/// Ids that a row of `size` may have; all of them where nothing limits it.
std::size_t LabelledRows::room(std::size_t size) const {
  return options_.max_length > 0 ? std::min(size, static_cast<std::size_t>(options_.max_length)) : size;
}

EncodedExample LabelledRows::encode_text(const LabelledText& row) const {
  TokenIds first = tokenizer_.encode(row.text), second;
  if (row.text_pair) second = tokenizer_.encode(*row.text_pair);
  const TokenIds none;
  const std::size_t around = tokenizer_.with_special(none, row.text_pair ? &none : nullptr).ids.size();
  const std::size_t full_size = first.size() + second.size() + around;
  const std::size_t fitting = room(full_size);
  if (fitting < full_size) {
    if (fitting <= around || options_.overlong != Overlong::cut) return too_long(full_size, options_);
    shorten(first, second, fitting - around);
  }
  return finish(tokenizer_.with_special(first, row.text_pair ? &second : nullptr), row.label, full_size);
}

/// The last id stays when ids are cut: [SEP] of an encoder, eos of a decoder.
EncodedExample LabelledRows::encode_tokens(const LabelledTokens& row) const {
  TokenPair tokens{row.ids, {}};
  const std::size_t fitting = room(row.ids.size());
  if (fitting < row.ids.size()) {
    if (options_.overlong != Overlong::cut) return too_long(row.ids.size(), options_);
    tokens.ids.resize(fitting);
    tokens.ids.back() = row.ids.back();
  }
  return finish(std::move(tokens), row.label, row.ids.size());
}

EncodedExample LabelledRows::finish(TokenPair tokens, const std::string& label, std::size_t full_size) const {
  EncodedExample example;
  if (tokens.ids.empty()) return example;
  example.cut_tokens = static_cast<std::int64_t>(full_size - tokens.ids.size());
  EncodedRow row;
  if (options_.task == Task::regression)
    row.value = number_of(label);
  else
    row.target = labels_.find(label).value();
  row.ids = std::move(tokens.ids);
  const bool has_types =
      std::any_of(tokens.types.begin(), tokens.types.end(), [](auto type) { return type != 0; });
  if (has_types) row.types = std::move(tokens.types);
  example.rows.push_back(std::move(row));
  return example;
}

}  // namespace lora
