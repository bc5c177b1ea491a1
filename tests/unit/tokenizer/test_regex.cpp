#include <stdexcept>

#include "support/catch.h"
#include "support/errors.h"
#include "tokenizer/regex.h"

using namespace lora;
using lora::test::require_error;
using Words = std::vector<std::string>;

namespace {

Words matches(const std::string& pattern, const std::string& text) {
  Words found;
  for (const Span& span : Regex(pattern, "test").spans(text)) {
    if (span.match) found.push_back(text.substr(span.begin, span.end - span.begin));
  }
  return found;
}

}  // namespace

TEST_CASE("regex: spans cover a text with matches and gaps") {
  const Spans spans = Regex("b+", "test").spans("abbac");
  REQUIRE(spans.size() == 3);
  CHECK((spans[0].end == 1 && !spans[0].match));
  CHECK((spans[1].begin == 1 && spans[1].end == 3 && spans[1].match));
  CHECK((spans[2].begin == 3 && spans[2].end == 5 && !spans[2].match));
}

TEST_CASE("regex: escapes mean what Oniguruma takes them for") {
  CHECK(matches(R"(\s)", "a\u180E\u00A0b") == Words{"\u00A0"});  // PCRE2 alone would take U+180E for a space
  CHECK(matches(R"([^\S])", "a\u180E b") == Words{" "});
  CHECK(matches(R"(\h+)", "xyz09aF") == Words{"09aF"});  // hexadecimal digits, not horizontal space
  CHECK(matches(R"(\w+)", "e\u0301-½") == Words{"e\u0301", "½"});
  CHECK(matches(R"([\w]+)", "e\u0301-½") == Words{"e\u0301"});
  CHECK(matches(R"(\v)", "\n\v") == Words{"\v"});
  CHECK(matches(R"(\u00e9|\x{65e5})", "é日") == Words{"é", "日"});
  CHECK(matches(R"(\p{^L}+)", "ab1 c") == Words{"1 "});
  CHECK(matches(R"(\p{Han}+)", "日本カ") == Words{"日本"});
  CHECK(matches("^.", "ab\ncd") == Words{"a", "c"});
  CHECK(matches(R"(a{,2}b)", "aaab") == Words{"aab"});
}

TEST_CASE("regex: an empty match right behind a match does not count") {
  const Spans spans = Regex("x*", "test").spans("axxb");
  std::vector<std::pair<std::size_t, std::size_t>> found;
  for (const Span& span : spans) {
    if (span.match) found.emplace_back(span.begin, span.end);
  }
  CHECK(found == std::vector<std::pair<std::size_t, std::size_t>>{{0, 0}, {1, 3}, {4, 4}});
}

TEST_CASE("regex: what the two languages understand differently is refused by name") {
  for (const char* pattern : {"a{2}+", "a{2}?", "[a[b]]", "[a&&b]", "(?<name>a)", "a(?i)b", "(*FAIL)",
                              R"(\1)", R"(\R)", R"(\p{Alpha})", R"([\W])", R"(\xE9)", "(?~a)", "(a", "a\\"}) {
    INFO(pattern);
    require_error([&] { Regex(pattern, "tokenizer.json: pre_tokenizer"); }, ExitCode::file,
                  {"tokenizer.json: pre_tokenizer", "regular expression"});
  }
}

TEST_CASE("regex: a pattern that explodes is a data error and not a hang") {
  const Regex exploding("(?:a|a|aa)+[xy]", "test");
  require_error([&] { exploding.spans(std::string(5000, 'a') + "b"); }, ExitCode::data, {"gave up"});
}

TEST_CASE("regex: long texts need no stack") {
  const std::string text(2000000, 'a');
  CHECK(Regex("(?:a|b)+", "test").spans(text).size() == 1);
}
