#pragma once

#include <cstdint>
#include <functional>
#include <vector>

namespace lora {

/// Milliseconds of one call over some repeats.
struct Latency {
  double median_ms = 0, least_ms = 0, most_ms = 0;
  std::int64_t repeats = 0;
};

/// Times the calls in turn (A, B, C, A, B, C ...), so that what else the machine does meets all of them
/// alike; one call of each goes before as warm-up. `clock` gives seconds.
std::vector<Latency> interleaved_latencies(const std::vector<std::function<void()>>& calls,
                                           std::int64_t repeats, const std::function<double()>& clock);

/// The same for calls that time their parts themselves and return the seconds of each: [call][part].
std::vector<std::vector<Latency>> interleaved_parts(
    const std::vector<std::function<std::vector<double>()>>& calls, std::int64_t repeats);

}  // namespace lora
