#pragma once

#include <c10/core/Allocator.h>
#include <c10/util/ThreadLocalDebugInfo.h>

#include <cstdint>
#include <memory>

namespace lora {

/// Counts the bytes of tensors that the current thread allocates while it lives: exact, unlike resident
/// memory. Meters may be nested; each counts what happens in its life.
class MemoryMeter {
 public:
  /// Bytes from which an allocation counts as large: those that a general allocator does not serve from its
  /// lists of small blocks.
  static constexpr std::int64_t kLarge = 64 << 10;

  MemoryMeter();
  ~MemoryMeter();
  MemoryMeter(const MemoryMeter&) = delete;
  MemoryMeter& operator=(const MemoryMeter&) = delete;

  /// Bytes alive now and at the highest, of those allocated since construction.
  std::uint64_t live_bytes() const;
  std::uint64_t peak_bytes() const;

  /// Bytes allocated in all, freed ones included, and the number of large allocations among them.
  std::uint64_t allocated_bytes() const;
  std::int64_t large_allocations() const;

  /// Lets the highest start again from what is alive now.
  void restart_peak();

 private:
  struct Counter;
  std::shared_ptr<Counter> counter_;
  std::unique_ptr<c10::DebugInfoGuard> guard_;
};

}  // namespace lora
