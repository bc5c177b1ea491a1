#include "tokenizer/merge_table.h"

#include <bit>

namespace lora {

MergeTable::MergeTable(std::size_t count)
    : mask_(std::bit_ceil(count * 2 + 2) - 1), keys_(mask_ + 1, kFree), merges_(mask_ + 1) {}

void MergeTable::insert(std::int32_t left, std::int32_t right, Merge merge) {
  const std::uint64_t key = key_of(left, right);
  std::size_t slot = slot_of(key);
  while (keys_[slot] != kFree && keys_[slot] != key) slot = (slot + 1) & mask_;
  keys_[slot] = key;
  merges_[slot] = merge;
}

}  // namespace lora
