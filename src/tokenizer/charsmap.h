#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace lora {

/// SentencePiece's table of character sequences and what replaces them: a double-array trie (darts-clone)
/// over the sequences, whose values are offsets of NUL-ended replacements.
///
/// Layout of the bytes: u32 size of the trie in bytes, the trie's u32 units (little-endian), the
/// replacements.
class CharsMap {
 public:
  /// std::invalid_argument if the bytes are not such a table. All that a look-up can reach is checked here.
  explicit CharsMap(std::string_view bytes);

  /// The replacement of the shortest sequence in the table that `text` begins with.
  std::optional<std::string_view> find(std::string_view text) const;

 private:
  void check_reachable() const;
  std::string_view replacement(std::uint32_t unit) const;

  std::vector<std::uint32_t> units_;
  std::string replacements_;
};

/// Bytes of base64 text (RFC 4648); std::invalid_argument if malformed.
std::string decode_base64(std::string_view text);

}  // namespace lora
