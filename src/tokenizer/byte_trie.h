#pragma once

#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

namespace lora {

/// Strings with values, searched by prefix. Nodes are numbered level by level, so that edge number e leads to
/// node e + 1 and a node is only the number of its first edge.
class ByteTrie {
 public:
  using Entry = std::pair<std::string_view, std::int32_t>;

  /// Empty keys are left out; of equal keys the last counts.
  explicit ByteTrie(std::vector<Entry> entries);

  /// Calls found(length, value) for every key that `text` begins with, shortest first.
  template <class Found>
  void prefixes(std::string_view text, Found found) const {
    std::uint32_t node = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
      node = child(node, static_cast<unsigned char>(text[i]));
      if (node == 0) return;
      if (values_[node] >= 0) found(i + 1, values_[node]);
    }
  }

 private:
  /// 0 (the root is no child) if there is none.
  std::uint32_t child(std::uint32_t node, unsigned char byte) const {
    std::uint32_t first = first_edge_[node], last = first_edge_[node + 1];
    while (first < last) {
      const std::uint32_t middle = first + (last - first) / 2;
      if (labels_[middle] == byte) return middle + 1;
      if (labels_[middle] < byte) {
        first = middle + 1;
      } else {
        last = middle;
      }
    }
    return 0;
  }

  std::vector<std::uint32_t> first_edge_;
  std::vector<unsigned char> labels_;
  std::vector<std::int32_t> values_;  ///< by node; -1 where no key ends
};

}  // namespace lora
