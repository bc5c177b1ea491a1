#include "tokenizer/added_tokens.h"

#include <algorithm>
#include <unordered_set>

#include "tokenizer/component.h"
#include "tokenizer/normalizer.h"

namespace lora {
namespace {

bool word_char_before(std::string_view text, std::size_t end) {
  if (end == 0) return false;
  std::size_t at = char_begin(text, end);
  return is_word_char(next_char(text, at));
}

bool word_char_after(std::string_view text, std::size_t begin) {
  return begin < text.size() && is_word_char(next_char(text, begin));
}

/// The span with the white space that the token's flags add to it. What lies before `limit` belongs to
/// another token: a token with lstrip leaves it alone, even if nothing remains of itself.
Span with_space(const AddedToken& token, std::string_view text, std::size_t limit, Span span) {
  auto [begin, end, match] = span;
  while (token.lstrip && begin > limit) {
    const std::size_t before = char_begin(text, begin);
    std::size_t at = before;
    if (!is_white_space(next_char(text, at))) break;
    begin = before;
  }
  if (token.lstrip) begin = std::max(begin, limit);
  while (token.rstrip && end < text.size()) {
    std::size_t at = end;
    if (!is_white_space(next_char(text, at))) break;
    end = at;
  }
  return {begin, end, match};
}

/// Length and value of the longest key that `text` begins with; length 0 if there is none.
std::pair<std::size_t, std::int32_t> longest(const ByteTrie& trie, std::string_view text) {
  std::pair<std::size_t, std::int32_t> best{0, 0};
  trie.prefixes(text, [&](std::size_t length, std::int32_t value) { best = {length, value}; });
  return best;
}

}  // namespace

AddedToken AddedToken::parse(const Component& component) {
  AddedToken made;
  made.content = component.text("content");
  made.single_word = component.flag_or("single_word", false);
  made.lstrip = component.flag_or("lstrip", false);
  made.rstrip = component.flag_or("rstrip", false);
  made.special = component.flag_or("special", false);
  made.normalized = component.flag_or("normalized", !made.special);
  return made;
}

AddedTokens::AddedTokens(std::vector<AddedToken> tokens, const Normalizer* normalizer)
    : tokens_(std::move(tokens)), normalizer_(normalizer), raw_({}), normal_({}), special_({}) {
  std::vector<ByteTrie::Entry> raw, normal, special;
  patterns_.reserve(tokens_.size());
  for (std::size_t i = 0; i < tokens_.size(); ++i) {
    const AddedToken& token = tokens_[i];
    by_id_[token.id] = i;
    by_content_[token.content] = i;
    Fragment pattern{token.content};
    if (token.normalized && normalizer_ != nullptr) normalizer_->apply(pattern);
    patterns_.push_back(std::move(pattern.text));
    const auto position = static_cast<std::int32_t>(i);
    (token.normalized ? normal : raw).emplace_back(patterns_.back(), position);
    if (token.special) special.emplace_back(token.content, position);
  }
  raw_ = ByteTrie(std::move(raw));
  normal_ = ByteTrie(std::move(normal));
  special_ = ByteTrie(std::move(special));
}

/// `use(token)` says whether a token that was found counts; its text stays text otherwise.
template <class Use>
void AddedTokens::split(const Fragment& whole, const ByteTrie& trie, Use use, Fragments& out) const {
  const std::string_view text = whole.text;
  std::size_t done = 0;  // up to here everything is in `out`
  const auto append = [&](std::size_t begin, std::size_t end, std::int32_t id) {
    if (begin < end) out.push_back({whole.text.substr(begin, end - begin), whole.at_start && begin == 0, id});
  };
  for (std::size_t at = 0; at < text.size();) {
    const auto [length, position] = longest(trie, text.substr(at));
    const Span found{at, at + length, length > 0};
    at += found.match ? length : 1;
    if (!found.match) continue;
    const AddedToken& token = tokens_[static_cast<std::size_t>(position)];
    if (!use(token)) continue;
    if (token.single_word && (word_char_before(text, found.begin) || word_char_after(text, found.end)))
      continue;
    const Span wide = with_space(token, text, done, found);
    append(done, wide.begin, -1);
    append(wide.begin, wide.end, token.id);
    done = wide.end;
  }
  append(done, text.size(), -1);
}

Fragments AddedTokens::extract(std::string_view text, SpecialText mode) const {
  const auto use = [mode](const AddedToken& token) { return mode == SpecialText::parse || !token.special; };
  Fragments parts, out;
  split({std::string(text), true}, raw_, use, parts);
  for (Fragment& part : parts) {
    if (part.id >= 0) {
      out.push_back(std::move(part));
      continue;
    }
    if (normalizer_ != nullptr) normalizer_->apply(part);
    split(part, normal_, use, out);
  }
  return out;
}

std::vector<SpecialPart> AddedTokens::split_special(std::string_view text) const {
  Fragments fragments;
  split({std::string(text), true}, special_, [](const AddedToken&) { return true; }, fragments);
  std::vector<SpecialPart> parts;
  for (Fragment& fragment : fragments)
    parts.push_back({std::move(fragment.text), fragment.id >= 0 ? std::optional(fragment.id) : std::nullopt});
  return parts;
}

const AddedToken* AddedTokens::find(std::int32_t id) const {
  const auto found = by_id_.find(id);
  return found == by_id_.end() ? nullptr : &tokens_[found->second];
}

std::optional<std::int32_t> AddedTokens::id_of(std::string_view content) const {
  const auto found = by_content_.find(std::string(content));
  return found == by_content_.end() ? std::nullopt : std::optional(tokens_[found->second].id);
}

const std::string& AddedTokens::pattern(const AddedToken& token) const {
  return patterns_[by_id_.at(token.id)];
}

std::vector<AddedToken> read_added_tokens(const Component& file, const Vocabulary& vocabulary) {
  std::vector<AddedToken> tokens;
  if (!file.has("added_tokens")) return tokens;
  std::int32_t next = vocabulary.count();
  std::unordered_set<std::string> seen;
  for (const Component& component : file.children("added_tokens")) {
    AddedToken token = AddedToken::parse(component);
    if (token.content.empty()) component.refuse("the token is empty");
    const auto known = vocabulary.id_of(token.content);
    token.id = known ? *known : next++;
    const std::int64_t given = component.integer_or("id", token.id);
    if (given != token.id) {
      component.refuse(cat("\"", printable(token.content), "\" has the id ", given, ", but ",
                           known ? "the vocabulary gives it " : "the next free id is ", token.id));
    }
    if (!known && vocabulary.contains(token.id)) {
      component.refuse(cat("\"", printable(token.content), "\" has the id ", token.id, " of \"",
                           printable(vocabulary.token_of(token.id)), "\""));
    }
    if (!seen.insert(token.content).second)
      component.refuse(cat("\"", printable(token.content), "\" occurs twice"));
    tokens.push_back(std::move(token));
  }
  return tokens;
}

}  // namespace lora
