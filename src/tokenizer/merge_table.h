#pragma once

#include <cstdint>
#include <vector>

namespace lora {

/// What becomes of two neighbouring tokens, and how early.
struct Merge {
  std::uint32_t rank;
  std::int32_t id;
};

/// Pair of ids -> merge: a hash table with open addressing, because every look-up of a std::unordered_map
/// costs a cache miss more and encoding consists of look-ups.
class MergeTable {
 public:
  explicit MergeTable(std::size_t count);

  /// A later merge of the same pair replaces the earlier one.
  void insert(std::int32_t left, std::int32_t right, Merge merge);

  /// nullptr if the pair does not merge.
  const Merge* find(std::int32_t left, std::int32_t right) const {
    const std::uint64_t key = key_of(left, right);
    for (std::size_t slot = slot_of(key); keys_[slot] != kFree; slot = (slot + 1) & mask_) {
      if (keys_[slot] == key) return &merges_[slot];
    }
    return nullptr;
  }

 private:
  static constexpr std::uint64_t kFree = ~std::uint64_t{0};  ///< ids are not negative

  static std::uint64_t key_of(std::int32_t left, std::int32_t right) {
    return static_cast<std::uint64_t>(static_cast<std::uint32_t>(left)) << 32 |
           static_cast<std::uint32_t>(right);
  }
  std::size_t slot_of(std::uint64_t key) const {
    return static_cast<std::size_t>((key * 0x9E3779B97F4A7C15) >> 32) & mask_;  // Fibonacci hashing
  }

  std::size_t mask_;
  std::vector<std::uint64_t> keys_;
  std::vector<Merge> merges_;
};

}  // namespace lora
