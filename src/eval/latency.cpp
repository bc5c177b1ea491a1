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
  std::vector<std::function<std::vector<double>()>> timed;
  for (const auto& call : calls) {
    timed.emplace_back([&call, &clock] {
      const double start = clock();
      call();
      return std::vector<double>{clock() - start};
    });
  }
  std::vector<Latency> latencies;
  for (const auto& parts : interleaved_parts(timed, repeats)) latencies.push_back(parts[0]);
  return latencies;
}

std::vector<std::vector<Latency>> interleaved_parts(
    const std::vector<std::function<std::vector<double>()>>& calls, std::int64_t repeats) {
  std::vector<std::vector<std::vector<double>>> seconds;  ///< [call][part][repeat]
  for (const auto& call : calls) seconds.emplace_back(call().size());
  for (std::int64_t repeat = 0; repeat < repeats; ++repeat) {
    for (std::size_t i = 0; i < calls.size(); ++i) {
      const std::vector<double> parts = calls[i]();
      for (std::size_t part = 0; part < parts.size(); ++part) seconds[i][part].push_back(parts[part]);
    }
  }
  std::vector<std::vector<Latency>> latencies;
  for (const auto& parts : seconds) {
    latencies.emplace_back();
    for (const auto& one : parts) latencies.back().push_back(summary(one));
  }
  return latencies;
}

}  // namespace lora
