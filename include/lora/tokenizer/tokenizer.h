#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace lora {

using TokenIds = std::vector<std::int32_t>;

/// What to do with text that spells a special token, "<|im_end|>" say.
enum class SpecialText {
  plain,  ///< encode it as ordinary characters: content can never forge control tokens
  parse,  ///< turn it into the special token: for chat templates and trusted prompts
};

struct SpecialIds {
  std::optional<std::int32_t> bos, eos, pad, unk;
};

/// Ids with one segment number (0 or 1) each, as BERT's token_type_ids want them.
struct TokenPair {
  TokenIds ids;
  std::vector<std::int32_t> types;
};

/// A stretch of a text: a special token that it spells, or what stands between two of them.
struct SpecialPart {
  std::string text;
  std::optional<std::int32_t> id;
};

/// Text <-> ids. Thread-safe after construction.
class Tokenizer {
 public:
  virtual ~Tokenizer() = default;

  /// Ids of `text` alone, without bos, eos, [CLS] or [SEP].
  virtual TokenIds encode(std::string_view text, SpecialText special = SpecialText::plain) const = 0;

  /// Ids of `text` as it stands behind other text: `encode` in plain mode without what a tokenizer puts at
  /// the beginning of a text only (the space of Metaspace "first" and of SentencePiece).
  virtual TokenIds encode_inside(std::string_view text) const { return encode(text); }

  /// Cuts `text` at the special tokens that it spells.
  virtual std::vector<SpecialPart> split_special(std::string_view text) const {
    return {{std::string(text), {}}};
  }

  /// Adds what the tokenizer puts around a sequence or a pair (bos; [CLS] a [SEP] b [SEP]).
  virtual TokenPair with_special(const TokenIds& first, const TokenIds* second = nullptr) const = 0;

  /// Text of `ids`; special tokens are dropped if `skip_special`.
  virtual std::string decode(const TokenIds& ids, bool skip_special = true) const = 0;

  virtual std::int32_t vocab_size() const = 0;
  virtual std::optional<std::int32_t> id_of(std::string_view token) const = 0;
  virtual std::string token_of(std::int32_t id) const = 0;
  virtual SpecialIds special_ids() const = 0;
  /// "sentencepiece", "byte-level BPE", "WordPiece", "Unigram".
  virtual std::string kind() const = 0;
};

/// File name (tokenizer.json, tokenizer.model, tokenizer_config.json) -> content.
using TokenizerFiles = std::map<std::string, std::string>;

/// Reads the tokenizer files of a folder, or one file. Missing: file error that names what was looked for.
TokenizerFiles read_tokenizer_files(const std::filesystem::path& path);

/// tokenizer.model wins over tokenizer.json where both are there. Damaged or unsupported: file error naming
/// the unsupported component.
std::unique_ptr<Tokenizer> make_tokenizer(const TokenizerFiles& files);

/// SHA-256 over names and contents: the identity recorded in runs and adapters.
std::string tokenizer_hash(const TokenizerFiles& files);

}  // namespace lora
