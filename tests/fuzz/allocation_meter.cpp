#include "allocation_meter.h"

#include <malloc.h>

#include <atomic>
#include <cerrno>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define LORA_FOREIGN_ALLOCATOR
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || !defined(__GLIBC__)
#define LORA_FOREIGN_ALLOCATOR
#endif

namespace {

std::atomic<std::size_t> current{0}, highest{0};

[[maybe_unused]] void* counted(void* memory) {
  if (!memory) return nullptr;
  const std::size_t size = current += malloc_usable_size(memory);
  for (std::size_t before = highest; size > before && !highest.compare_exchange_weak(before, size);) {
  }
  return memory;
}

[[maybe_unused]] void uncount(void* memory) {
  if (memory) current -= malloc_usable_size(memory);
}

}  // namespace

#ifndef LORA_FOREIGN_ALLOCATOR
// glibc lets a program replace these, and keeps its own under other names.
extern "C" {
void* __libc_malloc(std::size_t);
void* __libc_calloc(std::size_t, std::size_t);
void* __libc_realloc(void*, std::size_t);
void* __libc_memalign(std::size_t, std::size_t);
void __libc_free(void*);

void* malloc(std::size_t size) { return counted(__libc_malloc(size)); }
void* calloc(std::size_t count, std::size_t size) { return counted(__libc_calloc(count, size)); }
void* realloc(void* memory, std::size_t size) {
  uncount(memory);
  void* moved = __libc_realloc(memory, size);
  counted(moved ? moved : size ? memory : nullptr);
  return moved;
}
void* memalign(std::size_t alignment, std::size_t size) { return counted(__libc_memalign(alignment, size)); }
void* aligned_alloc(std::size_t alignment, std::size_t size) { return memalign(alignment, size); }
int posix_memalign(void** memory, std::size_t alignment, std::size_t size) {
  *memory = memalign(alignment, size);
  return *memory || !size ? 0 : ENOMEM;
}
void free(void* memory) {
  uncount(memory);
  __libc_free(memory);
}
}
#endif

namespace lora::fuzz {

bool AllocationMeter::works() {
#ifdef LORA_FOREIGN_ALLOCATOR
  return false;
#else
  return true;
#endif
}
std::size_t AllocationMeter::now() { return current; }
std::size_t AllocationMeter::peak() { return highest; }
void AllocationMeter::restart() { highest = current.load(); }

}  // namespace lora::fuzz
