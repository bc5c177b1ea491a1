#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>

#include <atomic>
#include <barrier>
#include <set>

#include "kernels/lanes.h"
#include "support/catch.h"

using lora::Lanes;

TEST_CASE("lanes: each runs on a thread of its own, at the same time, with its share of the threads") {
  const int before = at::get_num_threads();
  at::set_num_threads(6);
  Lanes lanes(3, 6);
  REQUIRE(lanes.count() == 3);
  for (int round = 0; round < 2; ++round) {
    std::barrier all(3);  // is passed only if all three are there
    std::vector<std::thread::id> threads(3);
    std::vector<int> shares(3);
    lanes.run([&](std::size_t lane) {
      all.arrive_and_wait();
      threads[lane] = std::this_thread::get_id();
      shares[lane] = at::get_num_threads();
    });
    CHECK(threads[0] == std::this_thread::get_id());
    CHECK(std::set(threads.begin(), threads.end()).size() == 3);
    CHECK(shares == std::vector<int>{2, 2, 2});
    CHECK(at::get_num_threads() == 6);
  }
  at::set_num_threads(before);
}

TEST_CASE("lanes: gradients are kept where the caller keeps them") {
  Lanes lanes(2, 2);
  for (const bool differentiates : {true, false}) {
    const at::AutoGradMode mode(differentiates);
    std::array<bool, 2> found{};
    lanes.run([&](std::size_t lane) { found[lane] = at::GradMode::is_enabled(); });
    CHECK(found == std::array{differentiates, differentiates});
  }
}

TEST_CASE("lanes: all come to their end before the exception of the first that failed is thrown") {
  Lanes lanes(3, 3);
  std::atomic<int> ended = 0;
  const auto work = [&](std::size_t lane) {
    ++ended;
    if (lane > 0) throw lane;
  };
  CHECK_THROWS_AS(lanes.run(work), std::size_t);
  CHECK(ended == 3);
  try {
    lanes.run(work);
  } catch (std::size_t lane) {
    CHECK(lane == 1);
  }
  lanes.run([&](std::size_t) { --ended; });  // nothing is left of the errors
  CHECK(ended == 3);
}

TEST_CASE("lanes: one alone is the caller with all threads") {
  const int before = at::get_num_threads();
  Lanes lanes(1, 1);
  lanes.run([&](std::size_t lane) {
    CHECK(lane == 0);
    CHECK(at::get_num_threads() == before);
  });
}
