#pragma once

#include <condition_variable>
#include <cstddef>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace lora {

/// Threads that work side by side on parts of one task, each with its share of the processor's threads for
/// the operations within. They meet when all are done, where threads that share every operation meet in each:
/// less waiting, and far less where other programs run, too.
class Lanes {
 public:
  /// `threads` are shared equally; at least one for each lane.
  Lanes(int count, int threads);
  ~Lanes();
  Lanes(const Lanes&) = delete;
  Lanes& operator=(const Lanes&) = delete;

  int count() const { return static_cast<int>(workers_.size()) + 1; }

  /// Runs work(0) on this thread and work(1), ..., work(count() - 1) on others, and waits for all. What
  /// this thread tells LibTorch (whether gradients are kept, who counts memory) holds in all. If some fail,
  /// the exception of the first.
  void run(const std::function<void(std::size_t)>& work);

 private:
  void serve(std::size_t lane);
  void attempt(std::size_t lane) noexcept;

  int threads_, threads_in_lane_;
  std::mutex mutex_;
  std::condition_variable begun_, done_;
  const std::function<void(std::size_t)>* work_ = nullptr;
  std::size_t round_ = 0, running_ = 0;
  bool ends_ = false;
  std::vector<std::exception_ptr> errors_;
  std::vector<std::thread> workers_;
};

}  // namespace lora
