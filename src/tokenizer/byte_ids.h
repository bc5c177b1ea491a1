#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "lora/tokenizer/tokenizer.h"
#include "tokenizer/vocabulary.h"

namespace lora {

/// Byte fallback: the tokens "<0x00>" to "<0xFF>" spell characters that have no token.
class ByteIds {
 public:
  /// Without byte fallback: no byte has an id.
  ByteIds() : ids_(256) {}
  explicit ByteIds(const Vocabulary& vocabulary);

  /// Appends the ids of the bytes of `text`; false, and nothing, if one of them has none.
  bool append(std::string_view text, TokenIds& ids) const;

 private:
  std::vector<std::optional<std::int32_t>> ids_;
};

/// The byte that a token "<0x0A>" stands for.
std::optional<char> byte_of_token(std::string_view token);

}  // namespace lora
