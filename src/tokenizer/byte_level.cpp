#include "tokenizer/byte_level.h"

#include <array>
#include <cstdint>

#include "tokenizer/unicode.h"

namespace lora {
namespace {

bool is_visible(int byte) {
  return (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || (byte >= 0xAE && byte <= 0xFF);
}

struct Alphabet {
  std::array<std::string, 256> chars;
  std::array<std::int16_t, 512> bytes;  ///< of a character, -1 where it stands for none

  Alphabet() {
    bytes.fill(-1);
    int moved = 256;
    for (int byte = 0; byte < 256; ++byte) {
      const int c = is_visible(byte) ? byte : moved++;
      chars[static_cast<std::size_t>(byte)] = to_utf8(static_cast<char32_t>(c));
      bytes[static_cast<std::size_t>(c)] = static_cast<std::int16_t>(byte);
    }
  }
};

const Alphabet& alphabet() {
  static const Alphabet made;
  return made;
}

}  // namespace

void append_byte_chars(std::string& out, std::string_view bytes) {
  for (const char byte : bytes) out += alphabet().chars[static_cast<unsigned char>(byte)];
}

std::string bytes_of_chars(std::string_view text) {
  std::string bytes;
  for (std::size_t at = 0; at < text.size();) {
    const char32_t c = next_char(text, at);
    if (c >= alphabet().bytes.size() || alphabet().bytes[c] < 0) return std::string(text);
    bytes += static_cast<char>(alphabet().bytes[c]);
  }
  return bytes;
}

}  // namespace lora
