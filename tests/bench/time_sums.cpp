// Seconds of a sum over ranks, by its length: what docs/scaling.md calculates with (scripts/scaling.py).
//
//   mpirun -n N time_sums [REPEATS]

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <vector>

#include "base/json.h"
#include "lora/base/process.h"
#include "train/ranks.h"

namespace {

/// Seconds of each repetition, from when all ranks have come.
template <class Call>
std::vector<double> time_calls(lora::Ranks& ranks, int repeats, Call call) {
  std::vector<double> seconds;
  for (int i = 0; i < repeats; ++i) {
    ranks.gather({});
    const double start = lora::monotonic_seconds();
    call();
    seconds.push_back(lora::monotonic_seconds() - start);
  }
  std::sort(seconds.begin(), seconds.end());
  return seconds;
}

}  // namespace

int main(int argc, char** argv) {
  constexpr double kTimeout = 60;
  const int repeats = argc > 1 ? std::max(1, std::atoi(argv[1])) : 50;
  lora::Ranks ranks(kTimeout);
  lora::Json rows = lora::Json::array();
  const auto note = [&](std::size_t bytes, const std::vector<double>& seconds) {
    rows.push_back({{"bytes", bytes}, {"least", seconds.front()}, {"median", seconds[seconds.size() / 2]}});
  };
  note(0, time_calls(ranks, repeats, [&] { ranks.gather({}); }));
  for (std::size_t length = 1 << 8; length <= 1 << 24; length *= 4) {
    std::vector<float> values(length, 1);
    note(length * sizeof(float), time_calls(ranks, repeats, [&] { ranks.sum(values); }));
  }
  if (ranks.is_first()) std::cout << lora::Json({{"ranks", ranks.count()}, {"calls", rows}}).dump() << "\n";
}
