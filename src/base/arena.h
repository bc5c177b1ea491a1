#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <unordered_map>
#include <utility>

namespace lora {

/// Blocks of one reserved range of addresses: the smallest free block that is large enough, the lowest of
/// them, so that the range fills from below and a loop that asks for the same sizes gets the same places.
/// Free neighbours merge. Pages come with their first use, huge ones where the system has them, and stay.
class Arena {
 public:
  /// Reserves the range; where the system refuses, there are no blocks.
  explicit Arena(std::size_t bytes);
  ~Arena();
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  /// A block that begins at a page; null if none is free.
  void* take(std::size_t bytes);
  /// False if the block is not one of this range.
  bool give_back(void* block);

  /// Makes the pages of the lowest `bytes` resident before their use, in pieces, for as long as `goes_on`.
  /// Where the system cannot, nothing happens.
  void make_resident(std::size_t bytes, const std::function<bool()>& goes_on);

  std::size_t reserved_bytes() const { return bytes_; }

  /// Bytes below the end of the highest block there was that no block has now: their pages are resident.
  std::size_t idle_bytes();

 private:
  using Place = std::size_t;  ///< bytes from the begin of the range

  void add_free(Place place, std::size_t bytes);
  void remove_free(std::map<Place, std::size_t>::iterator block);

  std::mutex mutex_;
  char* begin_ = nullptr;
  std::size_t bytes_ = 0;
  std::size_t taken_bytes_ = 0;
  Place highest_ = 0;
  std::map<Place, std::size_t> free_;
  std::set<std::pair<std::size_t, Place>> free_by_size_;
  std::unordered_map<Place, std::size_t> taken_;
};

/// The arena of this process, as large as the machine's memory: pages are taken with their first use. Without
/// blocks under a limit of the address space (ulimit -v), which counts what is reserved. Never destroyed,
/// since tensors in static variables outlive everything else.
Arena& process_arena();

}  // namespace lora
