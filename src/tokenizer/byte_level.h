#pragma once

#include <string>
#include <string_view>

namespace lora {

/// GPT-2's alphabet of 256 visible characters: byte b is itself where it is a visible Latin-1 character, and
/// the others are U+0100, U+0101 ... in order.
void append_byte_chars(std::string& out, std::string_view bytes);

/// The bytes that `text` spells in that alphabet; `text` itself if another character occurs.
std::string bytes_of_chars(std::string_view text);

}  // namespace lora
