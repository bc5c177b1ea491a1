#include "programs/allocation.h"

#include <c10/core/CPUAllocator.h>
#include <c10/core/impl/alloc_cpu.h>
#include <malloc.h>

#include <cstdlib>

#include "base/arena.h"

namespace lora {
namespace {

constexpr int kKept =
    1 << 30;  ///< bytes: blocks up to this size come from the heap, which shrinks by no less
constexpr int kGrowth = 1 << 26;
constexpr std::size_t kLarge = 1 << 16;  ///< bytes of a tensor that comes from the arena

/// LibTorch's allocator with large tensors in the arena.
class TensorAllocator final : public c10::Allocator {
 public:
  c10::DataPtr allocate(std::size_t bytes) override {
    void* block = bytes >= kLarge ? process_arena().take(bytes) : nullptr;
    if (!block) block = c10::alloc_cpu(bytes);
    c10::profiledCPUMemoryReporter().New(block, bytes);
    return {block, block, &release, c10::Device(c10::DeviceType::CPU)};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &release; }
  void copy_data(void* to, const void* from, std::size_t bytes) const override {
    default_copy_data(to, from, bytes);
  }

 private:
  static void release(void* block) {
    if (!block) return;
    c10::profiledCPUMemoryReporter().Delete(block);
    if (!process_arena().give_back(block)) c10::free_cpu(block);
  }
};

}  // namespace

void settle_allocation() {
  static TensorAllocator allocator;
  c10::SetCPUAllocator(&allocator, /*priority=*/1);
#ifdef M_MMAP_THRESHOLD
  if (std::getenv("MALLOC_MMAP_THRESHOLD_") || std::getenv("GLIBC_TUNABLES")) return;
  ::mallopt(M_MMAP_THRESHOLD, kKept);
  ::mallopt(M_TRIM_THRESHOLD, kKept);
  ::mallopt(M_TOP_PAD, kGrowth);
#endif
}

}  // namespace lora
