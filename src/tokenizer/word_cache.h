#pragma once

#include <array>
#include <mutex>
#include <string>
#include <unordered_map>

#include "lora/tokenizer/tokenizer.h"

namespace lora {

/// Ids of words that were seen before. Several locks, so that threads seldom wait for each other.
class WordCache {
 public:
  /// Appends the ids of `word` to `ids` and returns true, if it is known.
  bool find(std::string_view word, TokenIds& ids) const;
  /// Remembers `count` ids from `ids`' end; long words and words beyond the capacity are forgotten.
  void store(std::string_view word, const TokenIds& ids, std::size_t count);

 private:
  static constexpr std::size_t kShards = 16;
  static constexpr std::size_t kWordsPerShard = 4096;
  static constexpr std::size_t kLongestWord = 64;  ///< bytes

  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
  };
  struct Shard {
    mutable std::mutex lock;
    std::unordered_map<std::string, TokenIds, Hash, std::equal_to<>> words;
  };
  static std::size_t shard_of(std::string_view word) { return (Hash{}(word) >> 20) % kShards; }

  std::array<Shard, kShards> shards_;
};

}  // namespace lora
