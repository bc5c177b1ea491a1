#pragma once

#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "lora/tokenizer/tokenizer.h"
#include "tokenizer/byte_trie.h"
#include "tokenizer/fragment.h"
#include "tokenizer/vocabulary.h"

namespace lora {

class Component;
class Normalizer;

/// A token that is looked for in the text itself, before the model sees it.
struct AddedToken {
  std::int32_t id = 0;
  std::string content;
  bool single_word = false;  ///< only where no word character stands beside it
  bool lstrip = false;       ///< takes in the white space before it
  bool rstrip = false;       ///< takes in the white space behind it
  bool normalized = false;   ///< looked for in the normalised text
  bool special = false;

  static AddedToken parse(const Component& component);
};

/// All added tokens of a tokenizer. Matches are leftmost, then longest.
class AddedTokens {
 public:
  /// `normalizer` may be null.
  AddedTokens(std::vector<AddedToken> tokens, const Normalizer* normalizer);

  /// Divides `text` into added tokens and normalised text between them. In plain mode special tokens are
  /// text.
  Fragments extract(std::string_view text, SpecialText mode) const;
  /// Divides `text` into special tokens and text between them, which is left as it is.
  std::vector<SpecialPart> split_special(std::string_view text) const;

  const std::vector<AddedToken>& tokens() const { return tokens_; }
  const AddedToken* find(std::int32_t id) const;
  std::optional<std::int32_t> id_of(std::string_view content) const;
  /// What decoders see: the form that was looked for.
  const std::string& pattern(const AddedToken& token) const;

 private:
  template <class Use>
  void split(const Fragment& whole, const ByteTrie& trie, Use use, Fragments& out) const;

  std::vector<AddedToken> tokens_;
  std::vector<std::string> patterns_;  ///< what is looked for, by position in tokens_
  const Normalizer* normalizer_;
  std::unordered_map<std::int32_t, std::size_t> by_id_;      ///< -> position in tokens_
  std::unordered_map<std::string, std::size_t> by_content_;  ///< -> position in tokens_
  ByteTrie raw_, normal_, special_;
};

/// The "added_tokens" of tokenizer.json. File error if an id is not the one that the vocabulary, or else the
/// order of the list, gives the token.
std::vector<AddedToken> read_added_tokens(const Component& file, const Vocabulary& vocabulary);

}  // namespace lora
