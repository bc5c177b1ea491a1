#include "lora/base/text.h"

namespace lora {
namespace {

constexpr char32_t kInvalid = 0xFFFFFFFF;

/// The code point at the front of `text`, which is shortened by it; kInvalid (and one byte less) if malformed.
char32_t next_code_point(std::string_view& text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(0);
  const std::size_t length = first < 0x80 ? 1 : first < 0xC2 ? 0 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : first < 0xF5 ? 4 : 0;
  char32_t point = length == 1 ? first : first & (0x7Fu >> length);
  bool valid = length > 0 && length <= text.size();
  for (std::size_t i = 1; valid && i < length; ++i) {
    valid = (byte(i) & 0xC0) == 0x80;
    point = point << 6 | (byte(i) & 0x3F);
  }
  const bool overlong = (length == 3 && point < 0x800) || (length == 4 && point < 0x10000);
  if (!valid || overlong || (point >= 0xD800 && point < 0xE000) || point > 0x10FFFF) {
    text.remove_prefix(1);
    return kInvalid;
  }
  text.remove_prefix(length);
  return point;
}

/// C0 and C1 controls, and the marks that reorder what a terminal shows (UAX #9).
bool is_control(char32_t point) {
  return point < 0x20 || (point >= 0x7F && point < 0xA0) || point == 0x61C || point == 0x200E || point == 0x200F ||
         (point >= 0x202A && point <= 0x202E) || (point >= 0x2066 && point <= 0x2069);
}

}  // namespace

bool is_valid_utf8(std::string_view text) {
  while (!text.empty()) {
    if (next_code_point(text) == kInvalid) return false;
  }
  return true;
}

std::string printable(std::string_view text) {
  std::string shown;
  shown.reserve(text.size());
  while (!text.empty()) {
    const std::string_view before = text;
    const char32_t point = next_code_point(text);
    if (point == kInvalid)
      shown += "\uFFFD";
    else if (point == '\n' || point == '\t')
      shown += ' ';
    else if (!is_control(point))
      shown += before.substr(0, before.size() - text.size());
  }
  return shown;
}

}  // namespace lora
