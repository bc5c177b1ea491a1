#include "kernels/lanes.h"

#include <ATen/Parallel.h>
#include <ATen/ThreadLocalState.h>

#include <algorithm>

namespace lora {

Lanes::Lanes(int count, int threads)
    : threads_(std::max(1, threads)),
      threads_in_lane_(std::max(1, threads / std::max(1, count))),
      errors_(static_cast<std::size_t>(std::max(1, count))) {
  for (std::size_t lane = 1; lane < errors_.size(); ++lane)
    workers_.emplace_back([this, lane] { serve(lane); });
}

Lanes::~Lanes() {
  {
    const std::lock_guard lock(mutex_);
    ends_ = true;
  }
  begun_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void Lanes::run(const std::function<void(std::size_t)>& work) {
  if (workers_.empty()) return work(0);
  const at::ThreadLocalState state;
  const std::function<void(std::size_t)> informed = [&](std::size_t lane) {
    const at::ThreadLocalStateGuard guard(state);
    work(lane);
  };
  at::set_num_threads(threads_in_lane_);  // of this thread, and of the products of all
  {
    const std::lock_guard lock(mutex_);
    work_ = &informed;
    running_ = workers_.size();
    ++round_;
  }
  begun_.notify_all();
  attempt(0);
  {
    std::unique_lock lock(mutex_);
    done_.wait(lock, [&] { return running_ == 0; });
    work_ = nullptr;
  }
  at::set_num_threads(threads_);
  for (std::exception_ptr& error : errors_)
    if (error) std::rethrow_exception(std::exchange(error, nullptr));
}

void Lanes::serve(std::size_t lane) {
  for (std::size_t round = 1;; ++round) {
    {
      std::unique_lock lock(mutex_);
      begun_.wait(lock, [&] { return ends_ || round_ >= round; });
      if (ends_) return;
    }
    if (round == 1) at::set_num_threads(threads_in_lane_);  // not before: products of all threads heed it
    attempt(lane);
    const std::lock_guard lock(mutex_);
    if (--running_ == 0) done_.notify_one();
  }
}

void Lanes::attempt(std::size_t lane) noexcept {
  try {
    (*work_)(lane);
    errors_[lane] = nullptr;
  } catch (...) {
    errors_[lane] = std::current_exception();
  }
}

}  // namespace lora
