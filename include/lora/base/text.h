#pragma once

#include <cstdint>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

namespace lora {

/// Concatenates the printed forms of its arguments.
template <class... Parts>
std::string cat(const Parts&... parts) {
  std::ostringstream out;
  (out << ... << parts);
  return out.str();
}

template <class Range>
std::string join(const Range& items, std::string_view separator) {
  std::ostringstream out;
  std::string_view between;
  for (const auto& item : items) {
    out << between << item;
    between = separator;
  }
  return out.str();
}

/// `value` with `digits` decimals, locale-free: fixed(3.14159, 2) == "3.14".
std::string fixed(double value, int digits);
/// 1536 -> "1.5 KiB".
std::string human_bytes(std::uint64_t bytes);
/// 134515008 -> "134.5M".
std::string human_count(std::uint64_t count);
/// 75.2 -> "1m15s".
std::string human_seconds(double seconds);

std::vector<std::string> split(std::string_view text, char separator);
std::string_view trim(std::string_view text);

/// The up to `most` candidates nearest to `name` by edit distance, nearest first; far ones are left out.
std::vector<std::string> nearest_names(std::string_view name, const std::vector<std::string>& candidates,
                                       std::size_t most = 3);

/// True if `text` is valid UTF-8 (no overlong forms, no surrogates).
bool is_valid_utf8(std::string_view text);

/// Removes escape, control and bidirectional-override characters: text from files is shown through this.
std::string printable(std::string_view text);

}  // namespace lora
