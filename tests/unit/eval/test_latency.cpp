#include <cmath>
#include <string>

#include "eval/latency.h"
#include "support/catch.h"

TEST_CASE("latency: calls take turns after one warm-up each") {
  std::string order;
  const auto latencies =
      lora::interleaved_latencies({[&] { order += "a"; }, [&] { order += "b"; }}, 3, [] { return 0.0; });
  CHECK(order ==
        "ab"
        "ababab");
  CHECK(latencies.size() == 2);
  CHECK(latencies[0].repeats == 3);
}

TEST_CASE("latency: median, least and most in milliseconds") {
  double now = 0;
  int calls = 0;
  const double seconds[] = {9, 0.003, 0.001, 0.010, 0.002};  // the first is the warm-up
  const auto latencies =
      lora::interleaved_latencies({[&] { now += seconds[calls++]; }}, 4, [&] { return now; });
  CHECK(std::abs(latencies[0].median_ms - 2.5) < 1e-9);
  CHECK(std::abs(latencies[0].least_ms - 1) < 1e-9);
  CHECK(std::abs(latencies[0].most_ms - 10) < 1e-9);
}

TEST_CASE("latency: no repeats give zeros") {
  CHECK(lora::interleaved_latencies({[] {}}, 0, [] { return 0.0; })[0].repeats == 0);
}
