#pragma once

#include <cstdint>
#include <vector>

namespace lora {

/// Counter-based generator (Philox 4x32-10, Salmon et al. 2011): value number n of a stream is a pure
/// function of (seed, stream, n), so that a position in it is a number and not a state.
class CounterRandom {
 public:
  CounterRandom(std::uint64_t seed, std::uint64_t stream) : seed_(seed), stream_(stream) {}

  std::uint64_t bits(std::uint64_t counter) const;
  /// Uniform in [0, 1) with 53 bits.
  double uniform(std::uint64_t counter) const;
  /// Uniform in [0, bound) without modulo bias beyond 2^-64 (multiply-shift).
  std::uint64_t below(std::uint64_t counter, std::uint64_t bound) const;

 private:
  std::uint64_t seed_, stream_;
};

/// A permutation of 0..count-1 (Fisher-Yates) that depends on seed and stream only.
std::vector<std::size_t> shuffled(std::size_t count, std::uint64_t seed, std::uint64_t stream);

}  // namespace lora
