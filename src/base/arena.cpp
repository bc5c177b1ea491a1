#include "base/arena.h"

#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <iterator>

namespace lora {
namespace {

constexpr std::size_t kPage = 4096;
constexpr std::size_t kPiece = std::size_t{2} << 20;  ///< of what is made resident at once

std::size_t whole_pages(std::size_t bytes) { return (bytes + kPage - 1) / kPage * kPage; }

std::size_t machine_bytes() {
  rlimit limit{};
  if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY) return 0;
  return static_cast<std::size_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

}  // namespace

Arena& process_arena() {
  static auto* const arena = new Arena(machine_bytes());
  return *arena;
}

Arena::Arena(std::size_t bytes) {
  bytes = whole_pages(bytes);
  if (bytes == 0) return;
  void* range =
      ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (range == MAP_FAILED) return;
#ifdef MADV_HUGEPAGE
  ::madvise(range, bytes, MADV_HUGEPAGE);  // fewer faults and misses; without them it works, too
#endif
  begin_ = static_cast<char*>(range);
  bytes_ = bytes;
  add_free(0, bytes);
}

Arena::~Arena() {
  if (begin_) ::munmap(begin_, bytes_);
}

void* Arena::take(std::size_t bytes) {
  if (bytes == 0 || bytes > bytes_) return nullptr;
  bytes = whole_pages(bytes);
  const std::lock_guard lock(mutex_);
  const auto best = free_by_size_.lower_bound({bytes, 0});
  if (best == free_by_size_.end()) return nullptr;
  const auto [size, place] = *best;
  remove_free(free_.find(place));
  if (size > bytes) add_free(place + bytes, size - bytes);
  taken_.emplace(place, bytes);
  taken_bytes_ += bytes;
  highest_ = std::max(highest_, place + bytes);
  return begin_ + place;
}

bool Arena::give_back(void* block) {
  const char* const address = static_cast<char*>(block);
  if (address < begin_ || address >= begin_ + bytes_) return false;
  const std::lock_guard lock(mutex_);
  const auto taken = taken_.find(static_cast<Place>(address - begin_));
  if (taken == taken_.end()) return false;
  Place place = taken->first;
  std::size_t bytes = taken->second;
  taken_.erase(taken);
  taken_bytes_ -= bytes;
  const auto next = free_.lower_bound(place);
  if (next != free_.begin()) {
    const auto previous = std::prev(next);
    if (previous->first + previous->second == place) {
      place = previous->first;
      bytes += previous->second;
      remove_free(previous);
    }
  }
  if (next != free_.end() && next->first == place + bytes) {
    bytes += next->second;
    remove_free(next);
  }
  add_free(place, bytes);
  return true;
}

void Arena::make_resident(std::size_t bytes, const std::function<bool()>& goes_on) {
#ifdef MADV_POPULATE_WRITE
  const Place end = std::min(whole_pages(bytes), bytes_);
  for (Place place = 0; place < end && goes_on(); place += kPiece) {
    const std::size_t piece = std::min(kPiece, end - place);
    if (::madvise(begin_ + place, piece, MADV_POPULATE_WRITE) != 0) return;
    const std::lock_guard lock(mutex_);
    highest_ = std::max(highest_, place + piece);
  }
#endif
}

std::size_t Arena::idle_bytes() {
  const std::lock_guard lock(mutex_);
  return highest_ - taken_bytes_;
}

void Arena::add_free(Place place, std::size_t bytes) {
  free_.emplace(place, bytes);
  free_by_size_.emplace(bytes, place);
}

void Arena::remove_free(std::map<Place, std::size_t>::iterator block) {
  free_by_size_.erase({block->second, block->first});
  free_.erase(block);
}

}  // namespace lora
