#include "lora/base/random.h"

#include <array>
#include <numeric>
#include <utility>

namespace lora {
namespace {

__extension__ using uint128 = unsigned __int128;

/// Philox 4x32-10, Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3", table 2 and section 4.
std::array<std::uint32_t, 4> philox(std::array<std::uint32_t, 4> counter, std::array<std::uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t a = std::uint64_t{0xD2511F53} * counter[0];
    const std::uint64_t b = std::uint64_t{0xCD9E8D57} * counter[2];
    counter = {static_cast<std::uint32_t>(b >> 32) ^ counter[1] ^ key[0], static_cast<std::uint32_t>(b),
               static_cast<std::uint32_t>(a >> 32) ^ counter[3] ^ key[1], static_cast<std::uint32_t>(a)};
    key[0] += 0x9E3779B9;
    key[1] += 0xBB67AE85;
  }
  return counter;
}

std::uint32_t low(std::uint64_t value) { return static_cast<std::uint32_t>(value); }
std::uint32_t high(std::uint64_t value) { return static_cast<std::uint32_t>(value >> 32); }

}  // namespace

std::uint64_t CounterRandom::bits(std::uint64_t counter) const {
  const auto block = philox({low(counter), high(counter), low(stream_), high(stream_)}, {low(seed_), high(seed_)});
  return std::uint64_t{block[1]} << 32 | block[0];
}

double CounterRandom::uniform(std::uint64_t counter) const {
  return static_cast<double>(bits(counter) >> 11) * 0x1.0p-53;
}

std::uint64_t CounterRandom::below(std::uint64_t counter, std::uint64_t bound) const {
  return static_cast<std::uint64_t>(static_cast<uint128>(bits(counter)) * bound >> 64);
}

std::vector<std::size_t> shuffled(std::size_t count, std::uint64_t seed, std::uint64_t stream) {
  std::vector<std::size_t> order(count);
  std::iota(order.begin(), order.end(), std::size_t{0});
  const CounterRandom random(seed, stream);
  for (std::size_t i = count; i > 1; --i) std::swap(order[i - 1], order[random.below(i, i)]);
  return order;
}

}  // namespace lora
