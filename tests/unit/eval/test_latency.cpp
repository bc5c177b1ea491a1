#include <ATen/ATen.h>

#include <cmath>
#include <string>

#include "eval/decode_latency.h"
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

TEST_CASE("latency: calls that time their parts themselves") {
  int calls = 0;  // the first is the warm-up
  const auto latencies = lora::interleaved_parts({[&] {
                                                   ++calls;
                                                   return std::vector<double>{0.001 * calls, 0.05};
                                                 }},
                                                 3);
  REQUIRE(latencies[0].size() == 2);
  CHECK(std::abs(latencies[0][0].median_ms - 3) < 1e-9);
  CHECK(std::abs(latencies[0][0].most_ms - 4) < 1e-9);
  CHECK(std::abs(latencies[0][1].median_ms - 50) < 1e-9);
}

namespace {

/// Writes down which model had how many tokens of how many rows at each pass.
class NotingFeed : public lora::RowFeed {
 public:
  NotingFeed(std::string& notes, char name) : notes_(notes), name_(name) {}

  at::Tensor feed(const std::vector<lora::TokenIds>& added) override {
    notes_ += name_ + std::to_string(added.size()) + "x" + std::to_string(added[0].size()) + " ";
    return at::zeros({static_cast<std::int64_t>(added.size()), 4});
  }
  void select(const std::vector<std::int64_t>&) override {}

 private:
  std::string& notes_;
  char name_;
};

}  // namespace

TEST_CASE("decode latency: models in turn, one pass of the prompts and one of each further token") {
  std::string notes;
  const auto model = [&](char name) -> lora::WithFeed {
    return [&notes, name](const std::function<void(lora::RowFeed&)>& work) {
      NotingFeed feed(notes, name);
      work(feed);
    };
  };
  const auto latencies = lora::decode_latencies({model('a'), model('b')}, {{1, 2, 3}, {1, 2, 3}}, 2);
  std::string expected;
  for (int turn = 0; turn < 3; ++turn) {  // a warm-up and two repeats
    for (const char name : {'a', 'b'}) {
      expected += name + std::string("2x3 ");
      for (int token = 0; token < lora::kFurtherTokens; ++token) expected += name + std::string("2x1 ");
    }
  }
  CHECK(notes == expected);
  CHECK(latencies.size() == 2);
  CHECK(latencies[1].further_token.repeats == 2);
  CHECK(latencies[1].first_token.median_ms > 0);
}
