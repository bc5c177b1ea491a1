#include "base/temporary_name.h"

#include <unistd.h>

#include <atomic>
#include <climits>
#include <cstring>

namespace lora {

/// Entries are never freed, only used again: a handler may look at one at any time.
struct TemporaryName::Entry {
  enum State : int { unused, being_written, registered, taken };
  std::atomic<int> state{being_written};
  Entry* next = nullptr;
  char path[PATH_MAX] = {};
};

namespace {

using Entry = TemporaryName::Entry;

std::atomic<Entry*> newest{nullptr};
static_assert(std::atomic<Entry*>::is_always_lock_free && std::atomic<int>::is_always_lock_free);

bool change(Entry& entry, int from, int to) { return entry.state.compare_exchange_strong(from, to); }

Entry* claim_entry() {
  for (Entry* entry = newest; entry; entry = entry->next) {
    if (change(*entry, Entry::unused, Entry::being_written)) return entry;
  }
  auto* entry = new Entry;
  entry->next = newest;
  while (!newest.compare_exchange_weak(entry->next, entry)) continue;
  return entry;
}

}  // namespace

TemporaryName::TemporaryName(const std::filesystem::path& path) : entry_(claim_entry()) {
  std::strncpy(entry_->path, path.c_str(), sizeof entry_->path - 1);
  entry_->state = Entry::registered;
}

TemporaryName::~TemporaryName() { change(*entry_, Entry::registered, Entry::unused); }

void remove_temporaries() noexcept {
  // Files, then the folders that held them.
  for (int (*remove)(const char*) : {::unlink, ::rmdir}) {
    for (Entry* entry = newest; entry; entry = entry->next) {
      if (change(*entry, Entry::registered, Entry::taken) || entry->state == Entry::taken)
        remove(entry->path);
    }
  }
}

}  // namespace lora
