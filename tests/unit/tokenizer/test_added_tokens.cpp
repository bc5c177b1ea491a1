#include "parts.h"
#include "support/catch.h"
#include "support/errors.h"
#include "tokenizer/added_tokens.h"
#include "tokenizer/normalizer.h"

using namespace lora;
using lora::test::Parsed;
using lora::test::require_error;

namespace {

AddedToken token(std::int32_t id, const std::string& content) {
  AddedToken made;
  made.id = id;
  made.content = content;
  return made;
}

AddedToken special(std::int32_t id, const std::string& content) {
  AddedToken made = token(id, content);
  made.special = true;
  return made;
}

/// "text|#id:text|text" for the parts of a text.
std::string cut(const AddedTokens& tokens, const std::string& text, SpecialText mode = SpecialText::parse) {
  std::vector<std::string> parts;
  for (const Fragment& fragment : tokens.extract(text, mode))
    parts.push_back(fragment.id < 0 ? fragment.text : cat("#", fragment.id, ":", fragment.text));
  return join(parts, "|");
}

std::vector<AddedToken> listed(const std::string& tokens, const std::string& vocab = R"({"a": 0, "b": 1})") {
  const Parsed model(R"({"vocab": )" + vocab + "}"), file(R"({"added_tokens": [)" + tokens + "]}");
  return read_added_tokens(file.component(), Vocabulary::parse(model.component()));
}

}  // namespace

TEST_CASE("added tokens: the leftmost match counts, then the longest") {
  const AddedTokens tokens({token(1, "<a>"), token(2, "<a><b>"), token(3, "><")}, nullptr);
  CHECK(cut(tokens, "x<a>y") == "x|#1:<a>|y");
  CHECK(cut(tokens, "<a><b><a><") == "#2:<a><b>|#1:<a>|<");
  CHECK(cut(tokens, "") == "");
}

TEST_CASE("added tokens: white space beside a token goes to it if it says so") {
  AddedToken left = token(1, "<l>"), right = token(2, "<r>");
  left.lstrip = right.rstrip = true;
  const AddedTokens tokens({left, right}, nullptr);
  CHECK(cut(tokens, "a \n<l> b") == "a|#1: \n<l>| b");
  CHECK(cut(tokens, "a <r>\u3000b") == "a |#2:<r>\u3000|b");
  CHECK(cut(tokens, "<r>  <l>") == "#2:<r>  |#1:<l>");
}

TEST_CASE("added tokens: a single word stands alone") {
  AddedToken word = token(1, "the");
  word.single_word = true;
  const AddedTokens tokens({word}, nullptr);
  CHECK(cut(tokens, "the other, the_ the.") == "#1:the| other, the_ |#1:the|.");
  CHECK(cut(tokens, "éthe") == "éthe");
}

TEST_CASE("added tokens: normalised tokens are looked for in the normalised text") {
  const Parsed lower(R"({"type": "Lowercase"})");
  const auto normalizer = make_normalizer(lower.component());
  AddedToken normal = token(1, "Day");
  normal.normalized = true;
  const AddedTokens tokens({normal, token(2, "Raw")}, normalizer.get());
  CHECK(cut(tokens, "MonDAY Raw RAW") == "mon|#1:day| |#2:Raw| raw");
  CHECK(tokens.pattern(*tokens.find(1)) == "day");
}

TEST_CASE("added tokens: in plain mode special tokens are text and others are not") {
  const AddedTokens tokens({special(1, "<s>"), token(2, "<tool>")}, nullptr);
  CHECK(cut(tokens, "<s><tool>", SpecialText::plain) == "<s>|#2:<tool>");
  CHECK(cut(tokens, "<s><tool>", SpecialText::parse) == "#1:<s>|#2:<tool>");
}

TEST_CASE("added tokens: a text is cut at special tokens only") {
  const AddedTokens tokens({special(1, "<s>"), token(2, "<tool>")}, nullptr);
  const auto parts = tokens.split_special("<tool><s> A");
  REQUIRE(parts.size() == 3);
  CHECK((parts[0].text == "<tool>" && !parts[0].id));
  CHECK((parts[1].text == "<s>" && parts[1].id == 1));
  CHECK((parts[2].text == " A" && !parts[2].id));
}

TEST_CASE("added tokens: only the first fragment is at the start") {
  const AddedTokens tokens({special(1, "<s>")}, nullptr);
  const auto parts = tokens.extract("a<s>b", SpecialText::parse);
  REQUIRE(parts.size() == 3);
  CHECK((parts[0].at_start && !parts[2].at_start));
}

TEST_CASE("added tokens: ids come from the vocabulary, then from the order of the list") {
  const auto tokens =
      listed(R"({"id": 1, "content": "b", "special": true}, {"id": 2, "content": "x"}, {"content": "y"})");
  REQUIRE(tokens.size() == 3);
  CHECK((tokens[0].id == 1 && tokens[1].id == 2 && tokens[2].id == 3));
  CHECK((tokens[0].special && !tokens[0].normalized));
  CHECK((!tokens[1].special && tokens[1].normalized));
}

TEST_CASE("added tokens: ids that do not fit, repeated and empty tokens are refused with their place") {
  require_error([] { listed(R"({"id": 0, "content": "b"})"); }, ExitCode::file,
                {"added_tokens[0]", "id 0", "gives it 1"});
  require_error([] { listed(R"({"id": 7, "content": "x"})"); }, ExitCode::file,
                {"added_tokens[0]", "id 7", "is 2"});
  require_error([] { listed(R"({"id": -1, "content": "x"})"); }, ExitCode::file, {"-1"});
  require_error([] { listed(R"({"id": 2, "content": "x"}, {"id": 2, "content": "x"})"); }, ExitCode::file,
                {});
  require_error([] { listed(R"({"id": 0, "content": "a"}, {"id": 0, "content": "a"})"); }, ExitCode::file,
                {"twice"});
  require_error([] { listed(R"({"id": 2, "content": ""})"); }, ExitCode::file, {"empty"});
  require_error([] { listed(R"({"id": 2, "content": "x"})", R"({"a": 0, "b": 2})"); }, ExitCode::file,
                {"\"b\""});
}
