#include "lora/base/process.h"

#include <cstring>
#include <memory>

#include "support/catch.h"

using namespace lora;

TEST_CASE("process: resident memory rises with what is touched and the peak keeps it") {
  constexpr std::size_t kBytes = std::size_t{64} << 20;
  const std::uint64_t before = resident_bytes();
  auto block = std::make_unique<char[]>(kBytes);
  std::memset(block.get(), 1, kBytes);
  CHECK(resident_bytes() >= before + kBytes / 2);
  block.reset();
  CHECK(peak_resident_bytes() >= before + kBytes / 2);
}

TEST_CASE("process: what the machine offers is known") {
  CHECK(usable_cores() >= 1);
  CHECK(available_bytes() > 0);
  CHECK(cpu_name().find("core") != std::string::npos);
  CHECK(utc_timestamp().size() == std::strlen("2026-01-31T12:00:00Z"));
  const double start = monotonic_seconds();
  CHECK(monotonic_seconds() >= start);
}
