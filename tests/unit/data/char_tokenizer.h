#pragma once

#include <algorithm>
#include <string>

#include "lora/tokenizer/tokenizer.h"

namespace lora::test {

/// One id for each byte. "<s>" and "</s>" become bos and eos when special text is parsed. By choice it puts
/// bos around sequences as Llama's tokenizer does, and a word mark before every text as SentencePiece does.
class CharTokenizer : public Tokenizer {
 public:
  static constexpr std::int32_t kBos = 0, kEos = 1, kPad = 2, kMark = 3, kFirstByte = 4;

  struct Options {
    bool adds_bos = true, has_eos = true, marks_texts = false;
  };
  CharTokenizer() = default;
  explicit CharTokenizer(Options options) : options_(options) {}

  static std::int32_t id(char c) { return kFirstByte + static_cast<unsigned char>(c); }
  static TokenIds ids(std::string_view text) {
    TokenIds found;
    for (char c : text) found.push_back(id(c));
    return found;
  }

  TokenIds encode(std::string_view text, SpecialText special) const override {
    TokenIds found;
    if (options_.marks_texts && !text.empty()) found.push_back(kMark);
    if (special == SpecialText::plain) return joined(std::move(found), ids(text));
    for (const SpecialPart& part : split_special(text)) {
      found = joined(std::move(found), part.id ? TokenIds{*part.id} : ids(part.text));
    }
    return found;
  }
  TokenIds encode_inside(std::string_view text) const override { return ids(text); }
  std::vector<SpecialPart> split_special(std::string_view text) const override {
    std::vector<SpecialPart> parts;
    while (!text.empty()) {
      const bool bos = text.starts_with("<s>"), eos = text.starts_with("</s>");
      const std::size_t size = bos ? 3 : eos ? 4 : 1;
      const auto special = bos ? std::optional(kBos) : eos ? std::optional(kEos) : std::nullopt;
      parts.push_back({std::string(text.substr(0, size)), special});
      text.remove_prefix(size);
    }
    return parts;
  }
  TokenPair with_special(const TokenIds& first, const TokenIds* second) const override {
    TokenPair pair;
    const auto add = [&](const TokenIds& more, std::int32_t type) {
      pair.ids.insert(pair.ids.end(), more.begin(), more.end());
      pair.types.resize(pair.ids.size(), type);
    };
    if (options_.adds_bos) add({kBos}, 0);
    add(first, 0);
    if (!second) return pair;
    add({kEos}, 0);
    add(*second, 1);
    return pair;
  }
  /// Special ids as "^" (bos), "$" (eos), "#" (pad) and "_" (mark).
  std::string decode(const TokenIds& shown, bool) const override {
    std::string text;
    for (std::int32_t one : shown)
      text += one < kFirstByte ? "^$#_"[one] : static_cast<char>(one - kFirstByte);
    return text;
  }
  std::int32_t vocab_size() const override { return kFirstByte + 256; }
  std::optional<std::int32_t> id_of(std::string_view token) const override {
    return token.size() == 1 ? std::optional(id(token[0])) : std::nullopt;
  }
  std::string token_of(std::int32_t one) const override { return decode({one}, false); }
  SpecialIds special_ids() const override {
    return {kBos, options_.has_eos ? std::optional(kEos) : std::nullopt, kPad, {}};
  }
  std::string kind() const override { return "characters"; }

 private:
  static TokenIds joined(TokenIds first, const TokenIds& second) {
    first.insert(first.end(), second.begin(), second.end());
    return first;
  }

  Options options_;
};

/// The ids of a row as text, special ids as in CharTokenizer::decode.
inline std::string shown(const TokenIds& ids) { return CharTokenizer().decode(ids, false); }

/// The labels of a row as text, "." where there is no loss.
inline std::string shown_labels(const TokenIds& labels) {
  std::string text;
  for (std::int32_t label : labels) text += label < 0 ? "." : shown({label});
  return text;
}

}  // namespace lora::test
