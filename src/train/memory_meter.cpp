#include "train/memory_meter.h"

#include <algorithm>
#include <atomic>

namespace lora {

struct MemoryMeter::Counter : c10::MemoryReportingInfoBase {
  // Backward may run on another thread (CUDA) that inherits the debug info.
  std::atomic<std::int64_t> live{0}, peak{0};

  void reportMemoryUsage(void*, int64_t size, size_t, size_t, c10::Device) override {
    const std::int64_t now = live += size;
    std::int64_t highest = peak;
    while (now > highest && !peak.compare_exchange_weak(highest, now)) {
    }
  }
  bool memoryProfilingEnabled() const override { return true; }
};

MemoryMeter::MemoryMeter()
    : counter_(std::make_shared<Counter>()),
      guard_(std::make_unique<c10::DebugInfoGuard>(c10::DebugInfoKind::PROFILER_STATE, counter_)) {}

MemoryMeter::~MemoryMeter() = default;

std::uint64_t MemoryMeter::live_bytes() const {
  return static_cast<std::uint64_t>(std::max<std::int64_t>(0, counter_->live));
}

std::uint64_t MemoryMeter::peak_bytes() const {
  return static_cast<std::uint64_t>(std::max<std::int64_t>(0, counter_->peak));
}

}  // namespace lora
