#include <array>
#include <queue>

#include "tokenizer/component.h"
#include "tokenizer/merge_table.h"
#include "tokenizer/token_model.h"
#include "tokenizer/unicode.h"
#include "tokenizer/word_cache.h"

namespace lora {
namespace {

/// A token of a word while its neighbours merge into it: an element of a doubly linked list in an array.
struct Symbol {
  std::int32_t id;
  std::int32_t previous, next;  ///< positions, -1 at the ends
  bool alive = true;
};

/// A merge that can be done at `position` with its right neighbour; the lowest rank is done first, from left
/// to right.
struct Candidate {
  std::uint32_t rank;
  std::int32_t position;
  std::int32_t id;
  bool operator<(const Candidate& other) const {  // a priority_queue puts the greatest first
    return rank != other.rank ? rank > other.rank : position > other.position;
  }
};

/// Byte pair encoding (Sennrich et al. 2016): from characters up, the neighbours whose merge ranks first
/// merge.
class Bpe : public TokenModel {
 public:
  Bpe(const Component& component, ModelParts parts)
      : TokenModel(std::move(parts)),
        merges_(read_merges(component)),
        unknown_(read_unknown(component)),
        prefix_(component.text_or("continuing_subword_prefix", "")),
        suffix_(component.text_or("end_of_word_suffix", "")),
        fuse_unknown_(component.flag_or("fuse_unk", false)),
        ignore_merges_(component.flag_or("ignore_merges", false)) {
    if (component.has("dropout") && json_number(component.at("dropout"), "dropout", component.origin()) != 0)
      component.refuse("\"dropout\" is not supported: ids would be random", "set it to null");
    if (component.flag_or("byte_fallback", false)) byte_ids_ = ByteIds(vocabulary());
  }

  std::string kind() const override { return "BPE"; }

  void tokenize(std::string_view word, SpecialText mode, TokenIds& ids) const override {
    if (ignore_merges_) {
      if (const auto whole = find(word, mode)) return ids.push_back(*whole);
    }
    WordCache& cache = caches_[mode == SpecialText::plain ? 0 : 1];
    if (cache.find(word, ids)) return;
    std::vector<Symbol> symbols = characters(word, mode);
    merge(symbols, mode);
    std::size_t count = 0;
    for (const Symbol& symbol : symbols) {
      if (!symbol.alive) continue;
      ids.push_back(symbol.id);
      ++count;
    }
    cache.store(word, ids, count);
  }

 private:
  MergeTable read_merges(const Component& component) const;
  std::pair<std::string, std::string> read_pair(const Component& component, const Json& merge) const;
  std::vector<Symbol> characters(std::string_view word, SpecialText mode) const;
  void merge(std::vector<Symbol>& symbols, SpecialText mode) const;

  MergeTable merges_;
  std::optional<std::int32_t> unknown_;
  std::string prefix_, suffix_;
  bool fuse_unknown_, ignore_merges_;
  ByteIds byte_ids_;
  mutable std::array<WordCache, 2> caches_;  ///< by mode
};

std::pair<std::string, std::string> Bpe::read_pair(const Component& component, const Json& merge) const {
  if (merge.is_array() && merge.size() == 2) {
    return {json_string(merge[0], "merge", component.origin()),
            json_string(merge[1], "merge", component.origin())};
  }
  const std::string text = json_string(merge, "merge", component.origin());
  const std::size_t space = text.find(' ');
  if (space == std::string::npos || text.find(' ', space + 1) != std::string::npos)
    component.refuse(cat("the merge \"", printable(text), "\" does not consist of two tokens"));
  return {text.substr(0, space), text.substr(space + 1)};
}

MergeTable Bpe::read_merges(const Component& component) const {
  const Json& merges = component.at("merges");
  if (!merges.is_array()) component.refuse("\"merges\" must be an array");
  const std::string prefix = component.text_or("continuing_subword_prefix", "");
  const auto id_of = [&](const std::string& token) {
    const auto id = vocabulary().id_of(token);
    if (!id)
      component.refuse(
          cat("a merge names the token \"", printable(token), "\", which is not in the vocabulary"));
    return *id;
  };
  MergeTable table(merges.size());
  std::uint32_t rank = 0;
  for (const Json& merge : merges) {
    if (merge.is_string() && merge.get_ref<const std::string&>().starts_with("#version")) continue;
    const auto [left, right] = read_pair(component, merge);
    if (right.size() < prefix.size())
      component.refuse(cat("the merge with \"", printable(right), "\" lacks its prefix"));
    const std::int32_t left_id = id_of(left), right_id = id_of(right);
    table.insert(left_id, right_id, {rank++, id_of(left + right.substr(prefix.size()))});
  }
  return table;
}

/// One symbol per character, with byte fallback or the unknown token for characters without one.
std::vector<Symbol> Bpe::characters(std::string_view word, SpecialText mode) const {
  TokenIds ids;
  bool pending = false;  // an unknown token that may still grow
  std::string decorated;
  for (std::size_t at = 0; at < word.size();) {
    const std::size_t begin = at;
    next_char(word, at);
    std::string_view token = word.substr(begin, at - begin);
    if ((begin > 0 && !prefix_.empty()) || (at == word.size() && !suffix_.empty())) {
      decorated = cat(begin > 0 ? prefix_ : "", token, at == word.size() ? suffix_ : "");
      token = decorated;
    }
    if (const auto id = find(token, mode)) {
      if (pending) ids.push_back(*unknown_);
      pending = false;
      ids.push_back(*id);
    } else if (!byte_ids_.append(token, ids) && unknown_) {
      if (pending && !fuse_unknown_) ids.push_back(*unknown_);
      pending = true;
    }
  }
  if (pending) ids.push_back(*unknown_);
  std::vector<Symbol> symbols;
  symbols.reserve(ids.size());
  const auto count = static_cast<std::int32_t>(ids.size());
  for (std::int32_t i = 0; i < count; ++i)
    symbols.push_back({ids[static_cast<std::size_t>(i)], i - 1, i + 1 < count ? i + 1 : -1});
  return symbols;
}

void Bpe::merge(std::vector<Symbol>& symbols, SpecialText mode) const {
  std::priority_queue<Candidate> queue;
  const auto symbol = [&](std::int32_t position) -> Symbol& {
    return symbols[static_cast<std::size_t>(position)];
  };
  const auto offer = [&](std::int32_t position) {
    const std::int32_t next = symbol(position).next;
    if (next < 0) return;
    const Merge* merge = merges_.find(symbol(position).id, symbol(next).id);
    if (merge != nullptr && allowed(merge->id, mode)) queue.push({merge->rank, position, merge->id});
  };
  for (std::int32_t i = 0; i < static_cast<std::int32_t>(symbols.size()); ++i) offer(i);
  while (!queue.empty()) {
    const Candidate best = queue.top();
    queue.pop();
    Symbol& left = symbol(best.position);
    if (!left.alive || left.next < 0) continue;
    Symbol& right = symbol(left.next);
    const Merge* still = merges_.find(left.id, right.id);
    if (still == nullptr || still->id != best.id) continue;
    left.id = best.id;
    left.next = right.next;
    right.alive = false;
    if (right.next >= 0) symbol(right.next).previous = best.position;
    if (left.previous >= 0) offer(left.previous);
    offer(best.position);
  }
}

}  // namespace

std::unique_ptr<TokenModel> make_bpe(const Component& component, ModelParts parts) {
  return std::make_unique<Bpe>(component, std::move(parts));
}

}  // namespace lora
