#include "tokenizer/word_cache.h"

namespace lora {

bool WordCache::find(std::string_view word, TokenIds& ids) const {
  if (word.size() > kLongestWord) return false;
  const Shard& shard = shards_[shard_of(word)];
  const std::lock_guard guard(shard.lock);
  const auto found = shard.words.find(word);
  if (found == shard.words.end()) return false;
  ids.insert(ids.end(), found->second.begin(), found->second.end());
  return true;
}

void WordCache::store(std::string_view word, const TokenIds& ids, std::size_t count) {
  if (word.size() > kLongestWord) return;
  Shard& shard = shards_[shard_of(word)];
  const std::lock_guard guard(shard.lock);
  if (shard.words.size() >= kWordsPerShard) return;
  shard.words.try_emplace(std::string(word), ids.end() - static_cast<std::ptrdiff_t>(count), ids.end());
}

}  // namespace lora
