#include <algorithm>
#include <limits>

#include "tokenizer/byte_trie.h"
#include "tokenizer/component.h"
#include "tokenizer/token_model.h"
#include "tokenizer/unicode.h"

namespace lora {
namespace {

/// An unknown character scores this much less than the worst piece (SentencePiece's kUnkPenalty).
constexpr double kUnknownPenalty = 10;

std::vector<double> read_scores(const Component& component) {
  const Json& vocab = component.at("vocab");
  if (vocab.empty()) component.refuse("the vocabulary is empty");
  std::vector<double> scores;
  for (const Json& entry : vocab) scores.push_back(json_number(entry[1], "score", component.origin()));
  return scores;
}

ByteTrie make_trie(const Vocabulary& vocabulary) {
  std::vector<ByteTrie::Entry> entries;
  for (std::int32_t id = 0; id < vocabulary.size(); ++id) entries.emplace_back(vocabulary.token_of(id), id);
  return ByteTrie(std::move(entries));
}

/// Unigram language model (Kudo 2018): the division of a word whose sum of log probabilities is greatest,
/// found by Viterbi's algorithm.
class Unigram : public TokenModel {
 public:
  Unigram(const Component& component, ModelParts parts)
      : TokenModel(std::move(parts)),
        scores_(read_scores(component)),
        trie_(make_trie(vocabulary())),
        unknown_score_(*std::min_element(scores_.begin(), scores_.end()) - kUnknownPenalty) {
    if (component.has("unk_id")) {
      const std::int64_t id = component.integer_or("unk_id", 0);
      if (id < 0 || id >= vocabulary().size())
        component.refuse(cat("the unk_id ", id, " is not in the vocabulary"));
      unknown_ = static_cast<std::int32_t>(id);
    }
    if (component.flag_or("byte_fallback", false)) byte_ids_ = ByteIds(vocabulary());
  }

  std::string kind() const override { return "Unigram"; }

  void tokenize(std::string_view word, SpecialText mode, TokenIds& ids) const override {
    const std::vector<Node> best = best_paths(word, mode);
    std::vector<std::pair<std::size_t, std::size_t>> pieces;  // [begin, end), from the last to the first
    bool previous_unknown = false;
    for (std::size_t end = word.size(); end > 0; end = best[end].begin) {
      const bool unknown = best[end].id == unknown_;
      if (unknown && previous_unknown) {
        pieces.back().first = best[end].begin;  // unknown characters in a row are one piece
      } else {
        pieces.emplace_back(best[end].begin, end);
      }
      previous_unknown = unknown;
    }
    for (auto piece = pieces.rbegin(); piece != pieces.rend(); ++piece)
      append_piece(word.substr(piece->first, piece->second - piece->first), mode, ids);
  }

 private:
  /// The best division of the text before a position: its score and its last piece.
  struct Node {
    double score = -std::numeric_limits<double>::infinity();
    std::size_t begin = 0;
    std::optional<std::int32_t> id;
  };

  std::vector<Node> best_paths(std::string_view word, SpecialText mode) const {
    std::vector<Node> best(word.size() + 1);
    best[0].score = 0;
    for (std::size_t begin = 0; begin < word.size();) {
      std::size_t after_char = begin;
      next_char(word, after_char);
      const auto offer = [&](std::size_t end, std::int32_t id, double score) {
        if (best[end].id && best[begin].score + score <= best[end].score) return;
        best[end] = {best[begin].score + score, begin, id};
      };
      bool has_char = false;
      trie_.prefixes(word.substr(begin), [&](std::size_t length, std::int32_t id) {
        if (!allowed(id, mode)) return;
        offer(begin + length, id, scores_[static_cast<std::size_t>(id)]);
        has_char |= begin + length == after_char;
      });
      if (!has_char)
        offer(after_char, unknown_or_fail(word.substr(begin, after_char - begin)), unknown_score_);
      begin = after_char;
    }
    return best;
  }

  std::int32_t unknown_or_fail(std::string_view text) const {
    if (unknown_) return *unknown_;
    throw Error(ExitCode::data,
                cat("the tokenizer has no piece for \"", printable(text), "\" and no unknown token"));
  }

  void append_piece(std::string_view piece, SpecialText mode, TokenIds& ids) const {
    if (const auto id = find(piece, mode)) return ids.push_back(*id);
    if (!byte_ids_.append(piece, ids)) ids.push_back(unknown_or_fail(piece));
  }

  std::vector<double> scores_;
  ByteTrie trie_;
  double unknown_score_;
  std::optional<std::int32_t> unknown_;
  ByteIds byte_ids_;
};

}  // namespace

std::unique_ptr<TokenModel> make_unigram(const Component& component, ModelParts parts) {
  return std::make_unique<Unigram>(component, std::move(parts));
}

}  // namespace lora
