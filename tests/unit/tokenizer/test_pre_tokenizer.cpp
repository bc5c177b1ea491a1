#include "parts.h"
#include "support/catch.h"
#include "support/errors.h"
#include "tokenizer/byte_level.h"
#include "tokenizer/pre_tokenizer.h"

using namespace lora;
using lora::test::Parsed;
using lora::test::require_error;
using Words = std::vector<std::string>;

namespace {

Words split(const std::string& json, const std::string& text, bool at_start = true) {
  const Parsed parsed(json);
  Fragments fragments;
  make_pre_tokenizer(parsed.component())->split({text, at_start}, fragments);
  Words words;
  for (const Fragment& fragment : fragments) words.push_back(fragment.text);
  return words;
}

std::string metaspace(const std::string& options) {
  return R"({"type": "Metaspace", "replacement": "▁", )" + options + "}";
}

}  // namespace

TEST_CASE("byte level: GPT-2's words, with bytes as visible characters") {
  const std::string plain = R"({"type": "ByteLevel", "add_prefix_space": false})";
  CHECK(split(plain, "I'm é  ok\n") == Words{"I", "'m", "ĠÃ©", "Ġ", "Ġok", "Ċ"});
  CHECK(split(R"({"type": "ByteLevel", "add_prefix_space": true})", "ok ok") == Words{"Ġok", "Ġok"});
  CHECK(split(R"({"type": "ByteLevel", "add_prefix_space": false, "use_regex": false})", "a b") ==
        Words{"aĠb"});
}

TEST_CASE("byte level: all 256 bytes come back from their characters") {
  std::string bytes, characters;
  for (int byte = 0; byte < 256; ++byte) bytes += static_cast<char>(byte);
  append_byte_chars(characters, bytes);
  CHECK(count_chars(characters) == 256);
  CHECK(bytes_of_chars(characters) == bytes);
  CHECK(bytes_of_chars("日") == "日");
}

TEST_CASE("pre-tokenizers: words, white space, punctuation, digits") {
  CHECK(split(R"({"type": "BertPreTokenizer"})", " Hi, you_2$ ") == Words{"Hi", ",", "you", "_", "2", "$"});
  CHECK(split(R"({"type": "Whitespace"})", "a_b -- c!\u0301") == Words{"a_b", "--", "c", "!", "\u0301"});
  CHECK(split(R"({"type": "WhitespaceSplit"})", "a\u3000b  c,") == Words{"a", "b", "c,"});
  CHECK(split(R"({"type": "Punctuation", "behavior": "Contiguous"})", "a!?b") == Words{"a", "!?", "b"});
  CHECK(split(R"({"type": "Punctuation"})", "a!?b") == Words{"a", "!", "?", "b"});
  CHECK(split(R"({"type": "Digits", "individual_digits": true})", "a12½") == Words{"a", "1", "2", "½"});
  CHECK(split(R"({"type": "Digits", "individual_digits": false})", "a12b") == Words{"a", "12", "b"});
  CHECK(split(R"({"type": "CharDelimiterSplit", "delimiter": "-"})", "a--b") == Words{"a", "b"});
}

TEST_CASE("pre-tokenizers: Split by text or expression, inverted or not") {
  CHECK(split(R"({"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious"})", "a b ") ==
        Words{"a ", "b "});
  CHECK(split(R"({"type": "Split", "pattern": {"Regex": "\\d"}, "behavior": "Removed"})", "a1b2") ==
        Words{"a", "b"});
  CHECK(split(R"({"type": "Split", "pattern": {"Regex": "\\d"}, "behavior": "Removed", "invert": true})",
              "a1b2") == Words{"1", "2"});
}

TEST_CASE("metaspace: every scheme of prepending, and what is at the start") {
  CHECK(split(metaspace(R"("prepend_scheme": "always")"), "a b", false) == Words{"▁a", "▁b"});
  CHECK(split(metaspace(R"("prepend_scheme": "first")"), "a b", true) == Words{"▁a", "▁b"});
  CHECK(split(metaspace(R"("prepend_scheme": "first")"), "a b", false) == Words{"a", "▁b"});
  CHECK(split(metaspace(R"("prepend_scheme": "never")"), "a b") == Words{"a", "▁b"});
  CHECK(split(metaspace(R"("prepend_scheme": "always")"), " a") == Words{"▁a"});
  CHECK(split(metaspace(R"("prepend_scheme": "always", "split": false)"), "a  b") == Words{"▁a▁▁b"});
  CHECK(split(metaspace(R"("add_prefix_space": false)"), "a") == Words{"a"});
}

TEST_CASE("pre-tokenizers: in a sequence only the first word is at the start") {
  const std::string json = R"({"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, )" +
                           metaspace(R"("prepend_scheme": "first")") + "]}";
  CHECK(split(json, "a b") == Words{"▁a", "b"});
  CHECK(split(json, " a b") == Words{"a", "b"});
}

TEST_CASE("pre-tokenizers: other types and settings are refused with their place") {
  require_error([] { split(R"({"type": "UnicodeScripts"})", ""); }, ExitCode::file, {"\"UnicodeScripts\""});
  require_error([] { split(R"({"type": "Split", "pattern": {"String": " "}, "behavior": "Odd"})", ""); },
                ExitCode::file, {"\"Odd\""});
  require_error([] { split(metaspace(R"("prepend_scheme": "sometimes")"), ""); }, ExitCode::file,
                {"sometimes"});
  require_error([] { split(R"({"type": "Metaspace", "replacement": "__"})", ""); }, ExitCode::file,
                {"one character"});
  require_error([] { split("{}", ""); }, ExitCode::file, {"type"});
}
