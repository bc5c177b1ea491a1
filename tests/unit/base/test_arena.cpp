#include <cstring>
#include <map>
#include <vector>

#include "base/arena.h"
#include "lora/base/process.h"
#include "lora/base/random.h"
#include "support/catch.h"

using namespace lora;

TEST_CASE("arena: blocks are apart, keep what is written, and all come back") {
  constexpr std::size_t kBytes = std::size_t{8} << 20;
  Arena arena(kBytes);
  REQUIRE(arena.reserved_bytes() == kBytes);
  const CounterRandom random(1, 1);
  std::vector<std::pair<unsigned char*, std::size_t>> blocks;
  std::size_t refused = 0;
  for (std::uint64_t i = 0; i < 4000; ++i) {
    if (random.below(3 * i, 5) < 3) {
      const std::size_t bytes = 1 + random.below(3 * i + 1, 200'000);
      auto* block = static_cast<unsigned char*>(arena.take(bytes));
      refused += block == nullptr;
      if (!block) continue;
      std::memset(block, static_cast<int>(bytes % 251), bytes);
      blocks.emplace_back(block, bytes);
    } else if (!blocks.empty()) {
      const std::size_t index = random.below(3 * i + 2, blocks.size());
      const auto [block, bytes] = blocks[index];
      const std::vector<unsigned char> expected(bytes, static_cast<unsigned char>(bytes % 251));
      REQUIRE(std::memcmp(block, expected.data(), bytes) == 0);
      REQUIRE(arena.give_back(block));
      blocks.erase(blocks.begin() + static_cast<std::ptrdiff_t>(index));
    }
  }
  CHECK(refused > 0);  // it was full at times
  for (const auto& each : blocks) CHECK(arena.give_back(each.first));
  void* whole = arena.take(kBytes);  // everything merged
  CHECK(whole != nullptr);
  CHECK(arena.take(1) == nullptr);
  CHECK(arena.give_back(whole));
}

TEST_CASE("arena: the smallest block that fits is taken, the lowest of several") {
  Arena arena(1 << 20);
  void* const first = arena.take(5 * 4096);
  void* const wall = arena.take(4096);
  void* const second = arena.take(2 * 4096);
  void* const end = arena.take(4096);
  REQUIRE((first && wall && second && end));
  arena.give_back(first);
  arena.give_back(second);
  CHECK(arena.take(2 * 4096) == second);
  CHECK(arena.take(4096) == first);
  CHECK(arena.idle_bytes() == 4 * 4096);
}

TEST_CASE("arena: pages are there before their use, as far as the work goes on") {
  constexpr std::size_t kBytes = std::size_t{64} << 20;
  Arena arena(kBytes);
  const std::uint64_t before = resident_bytes();
  int pieces = 0;
  arena.make_resident(kBytes, [&] { return ++pieces <= 2; });
  if (arena.idle_bytes() == 0) {
    WARN("skipped: this system makes no pages ahead (Linux 5.14 does)");
    return;
  }
  const std::size_t made = arena.idle_bytes();
  CHECK(made < kBytes);
  CHECK(resident_bytes() - before > made / 2);  // the system counts a little behind
  auto* block = static_cast<unsigned char*>(arena.take(kBytes / 4));
  REQUIRE(block);
  std::memset(block, 1, kBytes / 4);
  arena.make_resident(kBytes / 4, [] { return true; });
  CHECK(block[kBytes / 8] == 1);
  CHECK(arena.give_back(block));
}

TEST_CASE("arena: blocks of others are refused, and so is a range that the system does not give") {
  Arena arena(1 << 20);
  int other = 0;
  CHECK_FALSE(arena.give_back(&other));
  void* const block = arena.take(100);
  CHECK(arena.give_back(block));
  CHECK_FALSE(arena.give_back(block));
  Arena none(std::size_t{1} << 62);
  CHECK(none.reserved_bytes() == 0);
  CHECK(none.take(1) == nullptr);
}
