#include "programs/allocation.h"

#include <malloc.h>

#include <cstdlib>

namespace lora {
namespace {

constexpr int kKept =
    1 << 30;  ///< bytes: blocks up to this size come from the heap, which shrinks by no less
constexpr int kGrowth = 1 << 26;

}  // namespace

void settle_allocation() {
  ::setenv("THP_MEM_ALLOC_ENABLE", "1", /*overwrite=*/0);  // read by LibTorch's CPU allocator
#ifdef M_MMAP_THRESHOLD
  if (std::getenv("MALLOC_MMAP_THRESHOLD_") || std::getenv("GLIBC_TUNABLES")) return;
  ::mallopt(M_MMAP_THRESHOLD, kKept);
  ::mallopt(M_TRIM_THRESHOLD, kKept);
  ::mallopt(M_TOP_PAD, kGrowth);
#endif
}

}  // namespace lora
