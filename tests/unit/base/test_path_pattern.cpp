#include "lora/base/path_pattern.h"
#include "support/catch.h"
#include "support/errors.h"

using namespace lora;
using namespace lora::test;

namespace {

PathPattern pattern(const std::string& expression) { return {expression, "target", ExitCode::usage}; }

PathPattern end_pattern(const std::string& expression) {
  return PathPattern::at_end(expression, "pattern", ExitCode::file);
}

}  // namespace

TEST_CASE("path pattern: the whole path has to match") {
  CHECK(pattern(R"(.*\.(q|v)_proj)").matches("layers.0.v_proj"));
  CHECK_FALSE(pattern(R"(.*\.(q|v)_proj)").matches("layers.0.v_proj.x"));
  CHECK_FALSE(pattern("q|v").matches("xq"));
  CHECK(pattern("").matches(""));
}

TEST_CASE("path pattern: what Python's expressions have") {
  CHECK(pattern(R"(.*(?<!mlp)\.up)").matches("attn.up"));
  CHECK_FALSE(pattern(R"(.*(?<!mlp)\.up)").matches("mlp.up"));
  CHECK(pattern(R"((?P<n>\d)\.(?P=n)\.w\w)").matches("3.3.wé"));
  CHECK(pattern("(?i)Q_PROJ").matches("q_proj"));
}

TEST_CASE("path pattern: the end of a path begins behind a segment border") {
  CHECK(end_pattern("v|mlp.up").matches("layers.0.v"));
  CHECK(end_pattern("v|mlp.up").matches("mlp.up"));
  CHECK_FALSE(end_pattern("v|mlp.up").matches("layers.0.uv"));
  CHECK(end_pattern("^layers.5.v").matches("layers.5.v"));
  CHECK_FALSE(end_pattern("^layers.5.v").matches("model.layers.5.v"));
}

TEST_CASE("path pattern: malformed, endless and enormous expressions are errors") {
  require_error([] { pattern("q("); }, ExitCode::usage, {"target \"q(\"", "regular expression", "offset 2"});
  require_error([] { end_pattern("a)|(b"); }, ExitCode::file, {"pattern \"a)|(b\"", "offset 1"});
  require_error([] { pattern("a{6666666660000000000}"); }, ExitCode::usage, {"too big"});
  require_error([] { pattern("((a{1000}){1000}){1000}"); }, ExitCode::usage, {"too large"});
  require_error([] { pattern(std::string(1000, '(') + std::string(1000, ')')); }, ExitCode::usage, {"nest"});
  require_error([] { pattern(std::string(100'000, 'a')); }, ExitCode::usage, {"aaaa...\"", "longer than the limit"});
  require_error([] { pattern("(a|aa)+b").matches(std::string(60, 'a') + "bc"); }, ExitCode::usage, {"limit"});
  CHECK_FALSE(pattern("(a|b)*c").matches(std::string(1000, 'a')));
}
