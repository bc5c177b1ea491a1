#include <cmath>
#include <cstdlib>
#include <cstring>

#include "lora/base/random.h"
#include "support/catch.h"
#include "support/errors.h"
#include "support/thread_ranks.h"
#include "train/launcher.h"
#include "train/rank_errors.h"
#include "train/rank_place.h"
#include "train/ranks.h"

using namespace lora;
using lora::test::ThreadRanks;

namespace {

/// Values of one rank, of very different sizes, so that their sum depends on the order.
std::vector<float> some_values(int rank, std::size_t length) {
  const CounterRandom random(7, static_cast<std::uint64_t>(rank));
  std::vector<float> values;
  for (std::size_t i = 0; i < length; ++i) {
    const double size = std::exp(20 * random.uniform(2 * i) - 10);
    values.push_back(static_cast<float>(size * (random.uniform(2 * i + 1) - 0.5)));
  }
  return values;
}

/// The sum by definition: float64, in the order of the ranks, rounded once.
std::vector<float> expected_sum(int count, std::size_t length) {
  std::vector<double> sums(length, 0);
  for (int rank = 0; rank < count; ++rank) {
    const auto values = some_values(rank, length);
    for (std::size_t i = 0; i < length; ++i) sums[i] += static_cast<double>(values[i]);
  }
  return {sums.begin(), sums.end()};
}

/// What `of` gives on each rank.
template <class Of>
auto on_each(int count, Of of) {
  std::vector<decltype(of(std::declval<Ranks&>()))> results(static_cast<std::size_t>(count));
  ThreadRanks::run(count, [&](Ranks& ranks) { results[static_cast<std::size_t>(ranks.rank())] = of(ranks); });
  return results;
}

/// Transport whose other ranks never come.
class Deserted : public Transport {
 public:
  int rank() const override { return 1; }
  int count() const override { return 2; }
  void share(std::byte*, Cuts) override { leave(); }
  void scatter(const std::byte*, Cuts, std::byte*) override { leave(); }
  int calls = 0;

 private:
  [[noreturn]] void leave() {
    ++calls;
    throw RankLost(3);
  }
};

}  // namespace

TEST_CASE("ranks: a sum is that of the ranks' order, bit by bit, on every rank and for every length") {
  for (const int count : {1, 2, 3, 4}) {
    for (const std::size_t length : {0UL, 1UL, 3UL, 1000UL}) {
      const auto expected = expected_sum(count, length);
      for (const auto& found : on_each(count, [&](Ranks& ranks) {
             auto values = some_values(ranks.rank(), length);
             ranks.sum(values);
             return values;
           })) {
        CHECK(std::memcmp(found.data(), expected.data(), length * sizeof(float)) == 0);
      }
    }
  }
}

TEST_CASE("ranks: values beyond one block are summed, too") {
  constexpr std::size_t kLength = (std::size_t{64} << 20) / sizeof(double) + 5;
  for (const double last : on_each(2, [&](Ranks& ranks) {
         std::vector<double> values(kLength, ranks.rank() + 1.0);
         ranks.sum(values);
         return values.front() == 3 && values[kLength - 6] == 3 ? values.back() : 0;
       })) {
    CHECK(last == 3);
  }
}

TEST_CASE("ranks: numbers are gathered in the order of the ranks, and a process alone has its own") {
  for (const auto& all : on_each(4, [](Ranks& ranks) { return ranks.gather({ranks.rank() * 10.0, -1}); })) {
    REQUIRE(all.size() == 4);
    for (std::size_t rank = 0; rank < 4; ++rank)
      CHECK((all[rank] == Ranks::Numbers{static_cast<double>(rank) * 10, -1}));
  }
  Ranks alone{std::unique_ptr<Transport>()};
  CHECK((alone.gather({5}) == std::vector<Ranks::Numbers>{{5}}));
  CHECK(alone.is_first());
  CHECK_FALSE(alone.farewell(ExitCode::data));
}

TEST_CASE("ranks: equal numbers agree everywhere, and one other number is noticed everywhere") {
  for (const char same : on_each(3, [](Ranks& ranks) { return static_cast<char>(ranks.agree(4)); }))
    CHECK(same);
  for (const char same :
       on_each(3, [](Ranks& ranks) { return static_cast<char>(ranks.agree(ranks.rank() == 1)); }))
    CHECK_FALSE(same);
}

TEST_CASE("ranks: who fails says so, the others stop at their next word, and nobody waits for more") {
  const auto codes = on_each(3, [](Ranks& ranks) {
    if (ranks.rank() == 1) return ranks.farewell(ExitCode::data) ? 1 : 0;
    try {
      ranks.gather({});
    } catch (const FailedElsewhere& error) {
      return ranks.farewell(error.code()) ? 0 : static_cast<int>(error.code());
    }
    return 0;
  });
  CHECK(codes == std::vector<int>{3, 1, 3});
}

TEST_CASE("ranks: where all fail alike the first of them is the one to say it") {
  const auto speaks =
      on_each(3, [](Ranks& ranks) { return static_cast<char>(ranks.farewell(ExitCode::usage)); });
  CHECK(speaks == std::vector<char>{1, 0, 0});
}

TEST_CASE("ranks: after a lost rank nothing waits again") {
  auto transport = std::make_unique<Deserted>();
  const Deserted& deserted = *transport;
  Ranks ranks(std::move(transport));
  lora::test::require_error([&] { ranks.gather({}); }, ExitCode::stopped, {"not answered for 3"});
  ranks.farewell(ExitCode::stopped);
  CHECK(deserted.calls == 1);
}

TEST_CASE("ranks: ranks of one machine are numbered and share its cores") {
  std::vector<int> numbers;
  for (const RankPlace& place : on_each(3, [](Ranks& ranks) { return find_place(ranks); })) {
    CHECK(place.sharers == 3);
    numbers.push_back(place.number);
  }
  CHECK(numbers == std::vector<int>{0, 1, 2});
}

TEST_CASE("launcher: the environment says who started how many processes") {
  ::unsetenv("OMPI_COMM_WORLD_SIZE");
  CHECK(read_launch().processes == 1);
  CHECK(read_launch().launcher.empty());
  ::setenv("SLURM_STEP_NUM_TASKS", "8", 1);
  CHECK(read_launch().processes == 8);
  CHECK(read_launch().launcher == "srun");
  ::unsetenv("SLURM_STEP_NUM_TASKS");
}
