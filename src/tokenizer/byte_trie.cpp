#include "tokenizer/byte_trie.h"

#include <algorithm>

namespace lora {
namespace {

/// Entries [begin, end) share the bytes that lead to a node.
struct Range {
  std::size_t begin, end;
};

/// Of sorted entries: one per byte that an entry does not share with the one before, and the root.
std::size_t count_nodes(const std::vector<ByteTrie::Entry>& entries) {
  std::size_t count = 1;
  std::string_view before;
  for (const auto& [key, value] : entries) {
    const auto differs = std::mismatch(key.begin(), key.end(), before.begin(), before.end()).first;
    count += static_cast<std::size_t>(key.end() - differs);
    before = key;
  }
  return count;
}

}  // namespace

ByteTrie::ByteTrie(std::vector<Entry> entries) {
  std::stable_sort(entries.begin(), entries.end(),
                   [](const Entry& a, const Entry& b) { return a.first < b.first; });
  const std::size_t count = count_nodes(entries);
  values_.reserve(count);
  first_edge_.reserve(count + 1);
  labels_.reserve(count);
  std::vector<Range> level{{0, entries.size()}}, next;
  for (std::size_t depth = 0; !level.empty(); ++depth, level.swap(next), next.clear()) {
    for (const Range& range : level) {
      std::size_t at = range.begin;
      values_.push_back(-1);
      for (; at < range.end && entries[at].first.size() == depth; ++at) values_.back() = entries[at].second;
      first_edge_.push_back(static_cast<std::uint32_t>(labels_.size()));
      while (at < range.end) {
        const char byte = entries[at].first[depth];
        const std::size_t begin = at;
        while (at < range.end && entries[at].first[depth] == byte) ++at;
        labels_.push_back(static_cast<unsigned char>(byte));
        next.push_back({begin, at});
      }
    }
  }
  first_edge_.push_back(static_cast<std::uint32_t>(labels_.size()));
  values_.front() = -1;
}

}  // namespace lora
