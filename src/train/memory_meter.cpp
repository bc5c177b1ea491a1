#include "train/memory_meter.h"

#include <algorithm>
#include <atomic>

namespace lora {
namespace {

std::uint64_t not_negative(std::int64_t bytes) {
  return static_cast<std::uint64_t>(std::max<std::int64_t>(0, bytes));
}

}  // namespace

struct MemoryMeter::Counter : c10::MemoryReportingInfoBase {
  explicit Counter(c10::DebugInfoBase* outer) : outer_(dynamic_cast<Counter*>(outer)) {}

  // Backward may run on another thread (CUDA) that inherits the debug info.
  std::atomic<std::int64_t> live{0}, peak{0}, allocated{0}, large{0};

  void reportMemoryUsage(void* place, int64_t size, size_t all, size_t reserved,
                         c10::Device device) override {
    if (outer_) outer_->reportMemoryUsage(place, size, all, reserved, device);
    if (size > 0) allocated += size;
    if (size >= kLarge) ++large;
    const std::int64_t now = live += size;
    std::int64_t highest = peak;
    while (now > highest && !peak.compare_exchange_weak(highest, now)) {
    }
  }
  bool memoryProfilingEnabled() const override { return true; }

 private:
  Counter* outer_;  ///< of the meter in whose life this one lies
};

MemoryMeter::MemoryMeter()
    : counter_(std::make_shared<Counter>(c10::ThreadLocalDebugInfo::get(c10::DebugInfoKind::PROFILER_STATE))),
      guard_(std::make_unique<c10::DebugInfoGuard>(c10::DebugInfoKind::PROFILER_STATE, counter_)) {}

MemoryMeter::~MemoryMeter() = default;

std::uint64_t MemoryMeter::live_bytes() const { return not_negative(counter_->live); }
std::uint64_t MemoryMeter::peak_bytes() const { return not_negative(counter_->peak); }
std::uint64_t MemoryMeter::allocated_bytes() const { return not_negative(counter_->allocated); }
std::int64_t MemoryMeter::large_allocations() const { return counter_->large; }
void MemoryMeter::restart_peak() { counter_->peak = counter_->live.load(); }

}  // namespace lora
