#include "eval/latency.h"

#include <algorithm>

namespace lora {
namespace {

Latency summary(std::vector<double> seconds) {
  if (seconds.empty()) return {};
  std::sort(seconds.begin(), seconds.end());
  const std::size_t middle = seconds.size() / 2;
  const double median = seconds.size() % 2 ? seconds[middle] : (seconds[middle - 1] + seconds[middle]) / 2;
  return {median * 1e3, seconds.front() * 1e3, seconds.back() * 1e3,
          static_cast<std::int64_t>(seconds.size())};
}

}  // namespace

std::vector<Latency> interleaved_latencies(const std::vector<std::function<void()>>& calls,
                                           std::int64_t repeats, const std::function<double()>& clock) {
  for (const auto& call : calls) call();
  std::vector<std::vector<double>> seconds(calls.size());
  for (std::int64_t repeat = 0; repeat < repeats; ++repeat) {
    for (std::size_t i = 0; i < calls.size(); ++i) {
      const double start = clock();
      calls[i]();
      seconds[i].push_back(clock() - start);
    }
  }
  std::vector<Latency> latencies;
  for (auto& one : seconds) latencies.push_back(summary(std::move(one)));
  return latencies;
}

}  // namespace lora
