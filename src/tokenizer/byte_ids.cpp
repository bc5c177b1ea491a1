#include "tokenizer/byte_ids.h"

#include <algorithm>
#include <charconv>

namespace lora {

ByteIds::ByteIds(const Vocabulary& vocabulary) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string token = "<0x00>";
  for (std::size_t byte = 0; byte < 256; ++byte) {
    token[3] = kHex[byte / 16];
    token[4] = kHex[byte % 16];
    ids_.push_back(vocabulary.id_of(token));
  }
}

bool ByteIds::append(std::string_view text, TokenIds& ids) const {
  const auto id_of = [this](char byte) { return ids_[static_cast<unsigned char>(byte)]; };
  if (!std::all_of(text.begin(), text.end(), [&](char byte) { return id_of(byte).has_value(); }))
    return false;
  for (const char byte : text) ids.push_back(*id_of(byte));
  return true;
}

std::optional<char> byte_of_token(std::string_view token) {
  if (token.size() != 6 || !token.starts_with("<0x") || !token.ends_with('>')) return std::nullopt;
  unsigned byte = 0;
  const char* end = token.data() + 5;
  const auto parsed = std::from_chars(token.data() + 3, end, byte, 16);
  if (parsed.ec != std::errc() || parsed.ptr != end) return std::nullopt;
  return static_cast<char>(byte);
}

}  // namespace lora
