#include <atomic>
#include <stdexcept>
#include <string>
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
