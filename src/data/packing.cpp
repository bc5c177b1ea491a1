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

std::vector<std::vector<std::size_t>> share_out(const std::vector<std::size_t>& sorted,
                                                const std::vector<std::int64_t>& lengths, std::size_t count) {
  std::vector<std::vector<std::size_t>> shares(count);
  std::vector<std::int64_t> tokens(count);
  for (auto row = sorted.rbegin(); row != sorted.rend(); ++row) {
    const auto least =
        static_cast<std::size_t>(std::min_element(tokens.begin(), tokens.end()) - tokens.begin());
    shares[least].push_back(*row);
    tokens[least] += lengths[*row];
  }
  for (auto& share : shares) std::reverse(share.begin(), share.end());
  return shares;
}

std::int64_t position_count(const std::vector<std::size_t>& rows, const std::vector<std::int64_t>& lengths,
                            Layout layout) {
  std::int64_t sum = 0, longest = 0;
  for (const std::size_t row : rows) {
    sum += lengths[row];
    longest = std::max(longest, lengths[row]);
  }
  return layout == Layout::packed ? sum : longest * static_cast<std::int64_t>(rows.size());
}

std::vector<std::vector<std::size_t>> pack(const std::vector<std::size_t>& sorted,
                                           const std::vector<std::int64_t>& lengths, std::int64_t max_tokens,
                                           Layout layout) {
  std::vector<std::vector<std::size_t>> groups;
  std::int64_t sum = 0;
  for (const std::size_t number : sorted) {
    const std::int64_t rows = groups.empty() ? 1 : static_cast<std::int64_t>(groups.back().size()) + 1;
    sum += lengths[number];
    const std::int64_t positions = layout == Layout::packed ? sum : rows * lengths[number];
    if (groups.empty() || positions > max_tokens) {
      groups.emplace_back();
      sum = lengths[number];
    }
    groups.back().push_back(number);
  }
  return groups;
}

}  // namespace lora
