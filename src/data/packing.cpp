#include "data/packing.h"

#include <algorithm>

namespace lora {

std::vector<std::int64_t> lengths_of(const std::vector<EncodedRow>& rows) {
  std::vector<std::int64_t> lengths;
  lengths.reserve(rows.size());
  for (const EncodedRow& row : rows) lengths.push_back(static_cast<std::int64_t>(row.ids.size()));
  return lengths;
}

void sort_by_length(std::vector<std::size_t>& numbers, const std::vector<std::int64_t>& lengths) {
  std::stable_sort(numbers.begin(), numbers.end(),
                   [&](std::size_t a, std::size_t b) { return lengths[a] < lengths[b]; });
}

std::vector<std::vector<std::size_t>> pack(const std::vector<std::size_t>& sorted,
                                           const std::vector<std::int64_t>& lengths,
                                           std::int64_t max_tokens) {
  std::vector<std::vector<std::size_t>> groups;
  for (std::size_t number : sorted) {
    const bool full = groups.empty() ||
                      (static_cast<std::int64_t>(groups.back().size()) + 1) * lengths[number] > max_tokens;
    if (full) groups.emplace_back();
    groups.back().push_back(number);
  }
  return groups;
}

}  // namespace lora
