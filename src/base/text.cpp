#include "lora/base/text.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <numeric>

namespace lora {
namespace {

/// A value scaled into the first unit that leaves it below `step`.
std::string scaled(double value, double step, std::initializer_list<const char*> units) {
  auto unit = units.begin();
  // 1023.96 would print as 1024.0 of the smaller unit.
  while (value >= step - 0.05 && unit + 1 != units.end()) {
    value /= step;
    ++unit;
  }
  return fixed(value, unit == units.begin() ? 0 : 1) + *unit;
}

/// Levenshtein distance.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i + 1;
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i] != b[j]);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, row[j + 1] + 1});
    }
  }
  return row.back();
}

/// How far apart two names are for a reader: edits, fewer where one contains the other.
std::size_t name_distance(std::string_view wanted, std::string_view candidate) {
  const std::size_t edits = edit_distance(wanted, candidate);
  const bool contained = wanted.size() > 2 && candidate.find(wanted) != std::string_view::npos;
  return contained ? std::min<std::size_t>(edits, 2) : edits;
}

}  // namespace

std::string fixed(double value, int digits) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  std::array<char, 512> buffer{};
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value, std::chars_format::fixed, digits);
  return {buffer.data(), end.ptr};
}

std::string human_bytes(std::uint64_t bytes) {
  return scaled(static_cast<double>(bytes), 1024, {" B", " KiB", " MiB", " GiB", " TiB"});
}

std::string human_count(std::uint64_t count) {
  return scaled(static_cast<double>(count), 1000, {"", "k", "M", "G", "T"});
}

std::string human_seconds(double seconds) {
  if (!(seconds >= 0)) return "?";
  if (seconds < 9.95) return fixed(seconds, 1) + "s";
  const auto whole = static_cast<std::int64_t>(std::llround(seconds));
  const auto two_digits = [](std::int64_t value) { return cat(value < 10 ? "0" : "", value); };
  if (whole < 60) return cat(whole, "s");
  if (whole < 3600) return cat(whole / 60, "m", two_digits(whole % 60), "s");
  return cat(whole / 3600, "h", two_digits(whole / 60 % 60), "m");
}

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  for (std::size_t begin = 0;;) {
    const std::size_t end = text.find(separator, begin);
    parts.emplace_back(text.substr(begin, end - begin));
    if (end == std::string_view::npos) return parts;
    begin = end + 1;
  }
}

std::string_view trim(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n\f\v";
  const std::size_t begin = text.find_first_not_of(kSpace);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpace) - begin + 1);
}

std::vector<std::string> nearest_names(std::string_view name, const std::vector<std::string>& candidates,
                                       std::size_t most) {
  std::vector<std::pair<std::size_t, std::string>> ranked;
  for (const std::string& candidate : candidates) {
    const std::size_t distance = name_distance(name, candidate);
    if (distance <= std::max<std::size_t>(2, name.size() / 2)) ranked.emplace_back(distance, candidate);
  }
  std::stable_sort(ranked.begin(), ranked.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<std::string> names;
  for (const auto& [distance, candidate] : ranked) {
    if (names.size() < most) names.push_back(candidate);
  }
  return names;
}

}  // namespace lora
