#include <algorithm>

#include "tokenizer/component.h"
#include "tokenizer/token_model.h"
#include "tokenizer/unicode.h"

namespace lora {
namespace {

/// WordPiece (Schuster and Nakajima 2012, as in BERT): from left to right the longest piece in the
/// vocabulary; a word that cannot be covered so is unknown as a whole.
class WordPiece : public TokenModel {
 public:
  WordPiece(const Component& component, ModelParts parts)
      : TokenModel(std::move(parts)),
        prefix_(component.text_or("continuing_subword_prefix", "##")),
        longest_word_(component.integer_or("max_input_chars_per_word", 100)) {
    const auto unknown = read_unknown(component);
    if (!unknown) component.refuse("\"unk_token\" is missing");
    unknown_ = *unknown;
    for (std::int32_t id = 0; id < vocabulary().size(); ++id)
      longest_piece_ = std::max(longest_piece_, vocabulary().token_of(id).size());
  }

  std::string kind() const override { return "WordPiece"; }

  void tokenize(std::string_view word, SpecialText mode, TokenIds& ids) const override {
    const std::size_t before = ids.size();
    if (static_cast<std::int64_t>(count_chars(word)) <= longest_word_ && append_pieces(word, mode, ids))
      return;
    ids.resize(before);
    ids.push_back(unknown_);
  }

 private:
  bool append_pieces(std::string_view word, SpecialText mode, TokenIds& ids) const {
    for (std::size_t begin = 0; begin < word.size();) {
      const std::size_t end = append_longest(word, begin, mode, ids);
      if (end == begin) return false;
      begin = end;
    }
    return true;
  }

  /// Where the longest known piece at `begin` ends; `begin` if no piece is known.
  std::size_t append_longest(std::string_view word, std::size_t begin, SpecialText mode,
                             TokenIds& ids) const {
    const std::string_view prefix = begin > 0 ? std::string_view(prefix_) : "";
    std::size_t end = word.size();
    if (end - begin > longest_piece_) end = char_begin(word, begin + longest_piece_ + 1);
    std::string piece = cat(prefix, word.substr(begin, end - begin));
    for (; end > begin; end = char_begin(word, end)) {
      piece.resize(prefix.size() + end - begin);
      if (const auto id = find(piece, mode)) {
        ids.push_back(*id);
        return end;
      }
    }
    return begin;
  }

  std::string prefix_;
  std::int64_t longest_word_;
  std::size_t longest_piece_ = 0;  ///< bytes
  std::int32_t unknown_ = 0;
};

/// Whole words or nothing.
class WordLevel : public TokenModel {
 public:
  WordLevel(const Component& component, ModelParts parts)
      : TokenModel(std::move(parts)), unknown_(read_unknown(component)) {}

  std::string kind() const override { return "WordLevel"; }

  void tokenize(std::string_view word, SpecialText mode, TokenIds& ids) const override {
    const auto id = find(word, mode);
    if (!id && !unknown_) {
      throw Error(ExitCode::data, cat("the word \"", printable(word), "\" is not in the vocabulary"),
                  "the tokenizer has no unknown token; take another one");
    }
    ids.push_back(id ? *id : *unknown_);
  }

 private:
  std::optional<std::int32_t> unknown_;
};

}  // namespace

std::unique_ptr<TokenModel> make_wordpiece(const Component& component, ModelParts parts) {
  return std::make_unique<WordPiece>(component, std::move(parts));
}

std::unique_ptr<TokenModel> make_word_level(const Component& component, ModelParts parts) {
  return std::make_unique<WordLevel>(component, std::move(parts));
}

}  // namespace lora
