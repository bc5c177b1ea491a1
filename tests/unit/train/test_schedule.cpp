#include <cmath>

#include "lora/base/error.h"
#include "lora/train/schedule.h"
#include "support/catch.h"

using lora::default_learning_rate;
using lora::Schedule;
using lora::warmup_updates;

namespace {

bool near(double a, double b) { return std::abs(a - b) < 1e-12; }

}  // namespace

TEST_CASE("schedule: linear rises from zero and falls to zero") {
  const Schedule schedule{.kind = "linear", .peak = 1, .warmup_steps = 4, .total_steps = 10};
  CHECK(schedule.at(0) == 0);
  CHECK(near(schedule.at(1), 0.25));
  CHECK(schedule.at(4) == 1);
  CHECK(near(schedule.at(7), 0.5));
  CHECK(schedule.at(10) == 0);
  CHECK(schedule.at(11) == 0);
}

TEST_CASE("schedule: cosine is a half period after warm-up") {
  const Schedule schedule{.kind = "cosine", .peak = 2, .warmup_steps = 2, .total_steps = 10};
  CHECK(near(schedule.at(1), 1));
  CHECK(near(schedule.at(2), 2));
  CHECK(near(schedule.at(6), 1));
  CHECK(near(schedule.at(10), 0));
}

TEST_CASE("schedule: constant stays at its peak after warm-up") {
  const Schedule schedule{.kind = "constant", .peak = 3, .warmup_steps = 3, .total_steps = 5};
  CHECK(near(schedule.at(2), 2));
  CHECK(schedule.at(3) == 3);
  CHECK(schedule.at(100) == 3);
}

TEST_CASE("schedule: without warm-up the first update has the peak rate") {
  for (const char* kind : {"constant", "linear", "cosine"}) {
    CHECK(near(Schedule{.kind = kind, .peak = 0.5, .warmup_steps = 0, .total_steps = 8}.at(0), 0.5));
  }
}

TEST_CASE("schedule: warm-up below one is a share, rounded up as transformers does") {
  CHECK(warmup_updates(0.03, 100) == 3);
  CHECK(warmup_updates(0.03, 101) == 4);
  CHECK(warmup_updates(0, 100) == 0);
  CHECK(warmup_updates(7, 100) == 7);
  CHECK(warmup_updates(500, 100) == 100);
}

TEST_CASE("schedule: however few updates there are, one of them has a rate above zero") {
  for (const double warmup : {0., 0.03, 0.9, 1., 7.}) {
    for (const std::int64_t total : {1, 2, 3, 40}) {
      const Schedule schedule{.peak = 1, .warmup_steps = warmup_updates(warmup, total), .total_steps = total};
      CHECK(schedule.at(total - 1) > 0);
    }
  }
}

TEST_CASE("schedule: the default rate falls with width between its bounds") {
  CHECK(near(default_learning_rate(2000, false), 5e-4));
  CHECK(near(default_learning_rate(2000, true), 5e-5));
  CHECK(near(default_learning_rate(64, false), 2e-3));
  CHECK(near(default_learning_rate(200000, false), 1e-4));
  CHECK(near(default_learning_rate(0, false), 5e-4));
  CHECK(std::abs(default_learning_rate(576, false) - 1.3202e-3) < 1e-6);
}

TEST_CASE("schedule: an unknown kind is a usage error") {
  REQUIRE_THROWS_AS((Schedule{.kind = "step", .peak = 1}.at(5)), lora::Error);
}
