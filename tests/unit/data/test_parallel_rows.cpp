#include <atomic>
#include <chrono>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "data/parallel_rows.h"
#include "support/catch.h"

using lora::for_each_row;

TEST_CASE("parallel rows: every row is visited exactly once") {
  for (int threads : {0, 1, 2, 7}) {
    for (std::size_t count : {0u, 1u, 63u, 64u, 65u, 1000u}) {
      std::vector<std::atomic<int>> visits(count);
      for_each_row(count, threads, [&](std::size_t i) { ++visits[i]; });
      for (const auto& visit : visits) CHECK(visit == 1);
    }
  }
}

TEST_CASE("parallel rows: the exception of the smallest failing row is thrown") {
  for (int threads : {1, 2, 4}) {
    for (int repeat = 0; repeat < 20; ++repeat) {
      std::string what;
      try {
        for_each_row(2000, threads, [](std::size_t i) {
          if (i >= 700 && i % 50 == 33) throw std::runtime_error(std::to_string(i));
        });
      } catch (const std::runtime_error& error) {
        what = error.what();
      }
      CHECK(what == "733");
    }
  }
}

TEST_CASE("parallel rows: a failure of a larger row that comes later does not hide the first") {
  std::atomic<bool> large_begun = false, small_failed = false;
  const auto wait_for = [](const std::atomic<bool>& flag) {
    while (!flag) std::this_thread::yield();
  };
  const auto work = [&](std::size_t i) {
    if (i == 10) {
      wait_for(large_begun);
      small_failed = true;
      throw std::runtime_error("small");
    }
    if (i == 70) {
      large_begun = true;
      wait_for(small_failed);
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      throw std::runtime_error("large");
    }
  };
  CHECK_THROWS_WITH(for_each_row(128, 2, work), "small");
}
