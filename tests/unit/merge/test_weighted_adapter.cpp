#include "merge/weighted_adapter.h"
#include "support/catch.h"
#include "support/errors.h"

using namespace lora;
using namespace lora::test;

TEST_CASE("weighted adapter: the weight follows the last colon and is 1 without one") {
  const auto adapters = parse_weighted_adapters({"a", "b:-0.5", "dir:2/c", "d:x:+1e-3", "./e:1/"});
  REQUIRE(adapters.size() == 5);
  CHECK((adapters[0].path == "a" && adapters[0].weight == 1));
  CHECK((adapters[1].path == "b" && adapters[1].weight == -0.5));
  CHECK((adapters[2].path == "dir:2/c" && adapters[2].weight == 1));
  CHECK((adapters[3].path == "d:x" && adapters[3].weight == 1e-3));
  CHECK((adapters[4].path == "./e:1/" && adapters[4].weight == 1));
}

TEST_CASE("weighted adapter: all items of another form are refused at once, with the form") {
  require_error(
      [] { parse_weighted_adapters({"good", "", ":1", "a:", "b:half", "c:0", "d:inf", "e:nan", "f:1e999"}); },
      ExitCode::usage,
      {"8 of 9 adapters", "DIR:WEIGHT", "\"\" has no folder", "\":1\" has no folder", "\"a:\"", "\"half\"",
       "\"c:0\"", "\"d:inf\"", "\"e:nan\"", "\"f:1e999\""});
}
