#include <limits>

#include "lora/config/check.h"
#include "sample_config.h"
#include "support/catch.h"

using namespace lora;

TEST_CASE("rules: limits are as their text says, and NaN keeps none") {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  for (const NumberRule& rule : {at_least(1), above(1), between(1, 2)}) CHECK_FALSE(rule.holds(nan));
  CHECK(at_least(1).holds(1));
  CHECK_FALSE(at_least(1).holds(0.999));
  CHECK_FALSE(above(0).holds(0));
  CHECK(above(0).holds(1e-300));
  CHECK(between(0, 0.9999999).holds(0.9999999));
  CHECK_FALSE(between(0, 0.9999999).holds(1));
  CHECK(between(0, 0.9999999).text == "between 0 and 0.9999999");
  CHECK(at_least(1).text == "at least 1");
  CHECK(above(0).text == "above 0");
}

TEST_CASE("option table: options come in the order of declaration, with section and kind") {
  SampleConfig config;
  const OptionTable options = options_of(config);
  REQUIRE(options.options().size() == 14);
  CHECK(options.options().front().name == "input");
  CHECK(options.find("rank")->section == "Adapter");
  CHECK(options.find("rank")->kind == OptionKind::whole);
  CHECK(options.find("steps")->kind == OptionKind::whole);
  CHECK(options.find("steps")->optional);
  CHECK(options.find("cache")->kind == OptionKind::flag);
  CHECK(options.find("targets")->kind == OptionKind::list);
  CHECK(options.find("learning_rate")->flag() == "--learning-rate");
  CHECK(options.find("learning-rate") == nullptr);
}

TEST_CASE("option table: options read and write the struct") {
  SampleConfig config;
  const OptionTable options = options_of(config);
  options.find("rank")->set(std::int64_t{4});
  options.find("steps")->set(std::int64_t{7});
  CHECK(config.rank == 4);
  CHECK(config.steps == 7);
  options.find("steps")->set(OptionValue());
  CHECK_FALSE(config.steps);
  config.targets = {"a", "b"};
  CHECK(options.find("targets")->get() == OptionValue(std::vector<std::string>{"a", "b"}));
}

TEST_CASE("check: every broken rule and missing option is listed") {
  SampleConfig config;
  config.rank = 0;
  config.alpha = std::numeric_limits<double>::quiet_NaN();
  config.method = "lra";
  const std::string failure = failure_of([&] { check_config(config); });
  CHECK(failure.starts_with("2: "));
  CHECK(failure.find("--input is missing") != std::string::npos);
  CHECK(failure.find("--rank must be at least 1, found 0") != std::string::npos);
  CHECK(failure.find("--alpha must be above 0, found nan") != std::string::npos);
  CHECK(failure.find("--method must be one of lora, full, found lra") != std::string::npos);
}

TEST_CASE("check: an option may be required only while another is off") {
  SampleConfig config;
  CHECK(failure_of([&] { check_config(config); }) == "2: --input is missing: rows");
  config.list_only = true;
  CHECK(failure_of([&] { check_config(config); }).empty());
}

TEST_CASE("check: counts beyond 2147483647 are refused") {
  SampleConfig config;
  config.list_only = true;
  config.seed = 2147483647;
  CHECK(failure_of([&] { check_config(config); }).empty());
  config.seed = 2147483648;
  CHECK(failure_of([&] { check_config(config); }) ==
        "2: --seed must be at most 2147483647, found 2147483648");
}
