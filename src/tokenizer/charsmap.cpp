#include "tokenizer/charsmap.h"

#include <stdexcept>

#include "lora/base/text.h"

namespace lora {
namespace {

// Fields of a darts-clone unit.
bool has_leaf(std::uint32_t unit) { return (unit >> 8 & 1) != 0; }
std::uint32_t label(std::uint32_t unit) { return unit & (1U << 31 | 0xFF); }
std::uint32_t offset(std::uint32_t unit) { return (unit >> 10) << ((unit & 1U << 9) >> 6); }
std::uint32_t value(std::uint32_t unit) { return unit & ~(1U << 31); }

std::uint32_t read_u32(std::string_view bytes, std::size_t at) {
  std::uint32_t number = 0;
  for (std::size_t i = 4; i-- > 0;) number = number << 8 | static_cast<unsigned char>(bytes[at + i]);
  return number;
}

}  // namespace

CharsMap::CharsMap(std::string_view bytes) {
  if (bytes.size() < 4) throw std::invalid_argument("a table of characters has at least 4 bytes");
  const std::size_t trie_bytes = read_u32(bytes, 0);
  if (trie_bytes % 4 != 0 || trie_bytes == 0 || trie_bytes > bytes.size() - 4)
    throw std::invalid_argument(
        cat("its trie of ", trie_bytes, " bytes does not fit into ", bytes.size(), " bytes"));
  for (std::size_t at = 0; at < trie_bytes; at += 4) units_.push_back(read_u32(bytes, 4 + at));
  replacements_ = bytes.substr(4 + trie_bytes);
  if (replacements_.empty() || replacements_.back() != '\0' || !is_valid_utf8(replacements_))
    throw std::invalid_argument("its replacements are not NUL-ended UTF-8");
  check_reachable();
}

void CharsMap::check_reachable() const {
  const auto fail = [] { throw std::invalid_argument("its trie points outside of itself"); };
  std::vector<bool> seen(units_.size());
  std::vector<std::uint32_t> open{offset(units_[0])};
  while (!open.empty()) {
    const std::uint32_t node = open.back();
    open.pop_back();
    // XOR with a byte may reach all of the 256 units around the node; units at the end may be missing.
    if (node >= units_.size()) fail();
    if (seen[node]) continue;
    seen[node] = true;
    for (std::uint32_t byte = 1; byte < 256; ++byte) {
      if ((node ^ byte) >= units_.size()) fail();
      const std::uint32_t unit = units_[node ^ byte];
      if (label(unit) != byte) continue;
      const std::uint32_t next = node ^ byte ^ offset(unit);
      if (next >= units_.size()) fail();
      if (has_leaf(unit) && value(units_[next]) >= replacements_.size()) fail();
      open.push_back(next);
    }
  }
}

std::string_view CharsMap::replacement(std::uint32_t unit) const {
  return replacements_.c_str() + value(unit);
}

std::optional<std::string_view> CharsMap::find(std::string_view text) const {
  std::uint32_t node = offset(units_[0]);
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte == 0) break;
    const std::uint32_t unit = units_[node ^ byte];
    if (label(unit) != byte) break;
    node ^= byte ^ offset(unit);
    if (has_leaf(unit)) return replacement(units_[node]);
  }
  return std::nullopt;
}

std::string decode_base64(std::string_view text) {
  static constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  while (text.ends_with('=')) text.remove_suffix(1);
  std::string bytes;
  std::uint32_t bits = 0;
  int held = 0;
  for (const char c : text) {
    const std::size_t digit = kDigits.find(c);
    if (digit == std::string_view::npos) throw std::invalid_argument("it is not base64");
    bits = bits << 6 | static_cast<std::uint32_t>(digit);
    held += 6;
    if (held < 8) continue;
    held -= 8;
    bytes += static_cast<char>(bits >> held & 0xFF);
  }
  return bytes;
}

}  // namespace lora
