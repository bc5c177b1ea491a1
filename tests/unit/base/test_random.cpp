#include "lora/base/random.h"

#include <algorithm>
#include <numeric>

#include "support/catch.h"

using namespace lora;

TEST_CASE("random: Philox 4x32-10 gives the published known answer") {
  // Random123's kat_vectors: counter 0, key 0 -> 6627e8d5 e169c58d bc57ac4c 9b00dbd8.
  CHECK(CounterRandom(0, 0).bits(0) == 0xe169c58d6627e8d5ULL);
  // All ones: 408f276d 41c83b0e a20bc7c6 6d5451fd.
  CHECK(CounterRandom(~0ULL, ~0ULL).bits(~0ULL) == 0x41c83b0e408f276dULL);
}

TEST_CASE("random: values are in range and their mean is that of the uniform distribution") {
  const CounterRandom random(42, 7);
  constexpr int kCount = 20000;
  double sum = 0;
  for (int i = 0; i < kCount; ++i) {
    const double value = random.uniform(static_cast<std::uint64_t>(i));
    REQUIRE((value >= 0 && value < 1));
    REQUIRE(random.below(static_cast<std::uint64_t>(i), 10) < 10);
    sum += value;
  }
  // Standard error 0.002; five of them.
  CHECK(std::abs(sum / kCount - 0.5) < 0.01);
}

TEST_CASE("random: a shuffle is a permutation that depends on seed and stream only") {
  const auto order = shuffled(100, 1, 2);
  auto sorted = order;
  std::sort(sorted.begin(), sorted.end());
  std::vector<std::size_t> all(100);
  std::iota(all.begin(), all.end(), std::size_t{0});
  CHECK(sorted == all);
  CHECK(order == shuffled(100, 1, 2));
  CHECK(order != shuffled(100, 1, 3));
  CHECK(order != shuffled(100, 2, 2));
  CHECK(shuffled(0, 1, 1).empty());
}

TEST_CASE("random: a shuffle favours no place") {
  // The element that comes first is uniform over 4: counts of 4000 draws within 5 standard deviations (27) of 1000.
  std::vector<int> counts(4);
  for (std::uint64_t stream = 0; stream < 4000; ++stream) ++counts[shuffled(4, 9, stream)[0]];
  for (const int count : counts) CHECK(std::abs(count - 1000) < 137);
}
