#include <ATen/Parallel.h>

#include <mutex>
#include <set>
#include <thread>

#include "support/catch.h"

#if !defined(__clang__)
TEST_CASE("parallel: loops of ours run on LibTorch's threads") {
  // Compiled without OpenMP, at::parallel_for is a plain loop on the calling thread.
  const int before = at::get_num_threads();
  at::set_num_threads(2);
  std::mutex mutex;
  std::set<std::thread::id> threads;
  at::parallel_for(0, 2, 1, [&](std::int64_t, std::int64_t) {
    const std::lock_guard lock(mutex);
    threads.insert(std::this_thread::get_id());
  });
  at::set_num_threads(before);
  CHECK(threads.size() == 2);
}
#endif
