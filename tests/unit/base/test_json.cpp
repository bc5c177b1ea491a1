#include "base/json.h"

#include <chrono>

#include "lora/base/text.h"
#include "support/errors.h"

using namespace lora;
using lora::test::require_error;

namespace {

const JsonOrigin kOrigin{"rows.jsonl line 3", ExitCode::data};

void require_refused(const std::string& text, std::initializer_list<std::string> parts) {
  require_error([&] { parse_json(text, kOrigin); }, ExitCode::data, parts);
}

}  // namespace

TEST_CASE("json: documents keep the order of their keys and every kind of value") {
  const Json json = parse_json("\xEF\xBB\xBF {\"b\": [1, -2, 3.5], \"a\": {\"t\": true, \"n\": null, \"s\": \"\\u00e4\"}} ", kOrigin);
  CHECK(json.dump() == "{\"b\":[1,-2,3.5],\"a\":{\"t\":true,\"n\":null,\"s\":\"ä\"}}");
}

TEST_CASE("json: malformed text is refused with place, column and excerpt") {
  require_refused("{\"a\": 1,}", {"rows.jsonl line 3", "column 9", "near {\"a\": 1,}"});
  require_refused("{\"a\":\n 1\n x}", {"line 3, column 2"});
  require_refused("[1] 2", {"malformed JSON"});
  require_refused("   ", {"it is empty"});
  require_refused("{\"a\": \"\xFF\"}", {"malformed JSON"});
  require_refused("{\"a\": \"\\ud800\"}", {"malformed JSON"});
  require_refused("[1e999]", {"malformed JSON"});
  require_refused("[NaN]", {"malformed JSON"});
  require_refused(std::string("[1]\0[2]", 7), {"a zero byte at column 4"});
}

TEST_CASE("json: duplicate keys are refused, the same key in other objects is not") {
  require_refused("{\"a\": 1, \"a\": 2}", {"the key \"a\" occurs twice"});
  CHECK_NOTHROW(parse_json("{\"a\": {\"a\": 1}, \"b\": [{\"a\": 1}, {\"a\": 2}]}", kOrigin));
}

TEST_CASE("json: a depth bomb is refused without touching the stack") {
  CHECK_NOTHROW(parse_json(std::string(64, '[') + std::string(64, ']'), kOrigin));
  require_refused(std::string(65, '[') + std::string(65, ']'), {"deeper than 64"});
  require_refused(std::string(1000000, '['), {"deeper than 64"});
}

TEST_CASE("json: large objects are read in linear time") {
  std::string text = "{";
  for (int i = 0; i < 100000; ++i) text += cat(i ? "," : "", "\"key", i, "\":", i);
  const auto start = std::chrono::steady_clock::now();
  CHECK(parse_json(text + "}", kOrigin).size() == 100000);
  // Quadratic insertion would take minutes.
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(10));
}

TEST_CASE("json: checked access names the key and what was found") {
  const Json json = parse_json(R"({"n": 5, "f": 3.9, "big": 18446744073709551615, "s": "x"})", kOrigin);
  CHECK(json_int(json_at(json, "n", kOrigin), "n", kOrigin) == 5);
  CHECK(json_number(json.at("n"), "n", kOrigin) == 5.0);
  require_error([&] { json_int(json.at("f"), "f", kOrigin); }, ExitCode::data, {"\"f\" must be a whole number", "3.9"});
  require_error([&] { json_int(json.at("big"), "big", kOrigin); }, ExitCode::data, {"18446744073709551615"});
  require_error([&] { json_string(json.at("n"), "n", kOrigin); }, ExitCode::data, {"\"n\" must be a string", "found 5"});
  require_error([&] { json_bool(json.at("s"), "s", kOrigin); }, ExitCode::data, {"true or false"});
  require_error([&] { json_at(json, "absent", kOrigin); }, ExitCode::data, {"\"absent\" is missing"});
  require_error([&] { json_at(json.at("n"), "absent", kOrigin); }, ExitCode::data, {"inside an object"});
}
