#include "data/parallel_rows.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "lora/base/stop.h"

namespace lora {
namespace {

constexpr std::size_t kBlock = 64;  ///< rows that a thread takes at a time

/// The failure of the smallest row so far.
class FirstFailure {
 public:
  void record(std::size_t row) {
    const std::lock_guard lock(mutex_);
    if (exception_ && row > row_) return;
    row_ = row;
    exception_ = std::current_exception();
    any_ = true;
  }
  bool any() const { return any_; }
  void rethrow() const {
    if (exception_) std::rethrow_exception(exception_);
  }

 private:
  std::mutex mutex_;
  std::atomic<bool> any_ = false;
  std::size_t row_ = 0;
  std::exception_ptr exception_;
};

}  // namespace

void for_each_row(std::size_t count, int threads, const std::function<void(std::size_t)>& work) {
  std::atomic<std::size_t> next = 0;
  FirstFailure failure;
  // Blocks are taken in order and finished up to their first failure, so that no smaller row is missed.
  const auto run = [&] {
    while (!failure.any()) {
      const std::size_t begin = next.fetch_add(kBlock);
      if (begin >= count) return;
      std::size_t row = begin;
      try {
        throw_if_stopped();
        for (const std::size_t end = std::min(count, begin + kBlock); row < end; ++row) work(row);
      } catch (...) {
        failure.record(row);
      }
    }
  };
  const std::size_t blocks = (count + kBlock - 1) / kBlock;
  const std::size_t helpers = std::min<std::size_t>(blocks, static_cast<std::size_t>(std::max(threads, 1)));
  std::vector<std::jthread> pool;
  for (std::size_t i = 1; i < helpers; ++i) pool.emplace_back(run);
  run();
  pool.clear();
  failure.rethrow();
}

}  // namespace lora
