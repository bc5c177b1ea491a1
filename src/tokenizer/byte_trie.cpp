#include "tokenizer/byte_trie.h"

#include <algorithm>

namespace lora {
namespace {

/// Entries [begin, end) share their first `depth` bytes.
struct Range {
  std::size_t begin, end, depth;
};

}  // namespace

ByteTrie::ByteTrie(std::vector<Entry> entries) {
  std::stable_sort(entries.begin(), entries.end(),
                   [](const Entry& a, const Entry& b) { return a.first < b.first; });
  std::vector<Range> nodes{{0, entries.size(), 0}};
  for (std::size_t node = 0; node < nodes.size(); ++node) {
    const Range range = nodes[node];
    std::size_t at = range.begin;
    values_.push_back(-1);
    for (; at < range.end && entries[at].first.size() == range.depth; ++at)
      values_.back() = entries[at].second;
    first_edge_.push_back(static_cast<std::uint32_t>(labels_.size()));
    while (at < range.end) {
      const char byte = entries[at].first[range.depth];
      const std::size_t begin = at;
      while (at < range.end && entries[at].first[range.depth] == byte) ++at;
      labels_.push_back(static_cast<unsigned char>(byte));
      nodes.push_back({begin, at, range.depth + 1});
    }
  }
  first_edge_.push_back(static_cast<std::uint32_t>(labels_.size()));
  values_.front() = -1;
}

}  // namespace lora
