#include "parts.h"
#include "support/catch.h"
#include "support/errors.h"
#include "tokenizer/normalizer.h"

using namespace lora;
using lora::test::Parsed;
using lora::test::require_error;

namespace {

Fragment normalized(const std::string& json, const std::string& text) {
  const Parsed parsed(json);
  Fragment fragment{text, true};
  make_normalizer(parsed.component())->apply(fragment);
  return fragment;
}

std::string text_of(const std::string& json, const std::string& text) { return normalized(json, text).text; }

std::string bert(const std::string& options, const std::string& text) {
  return text_of(R"({"type": "BertNormalizer", )" + options + "}", text);
}

}  // namespace

TEST_CASE("normalizer: the simple kinds") {
  CHECK(text_of(R"({"type": "Lowercase"})", "ÀB") == "àb");
  CHECK(text_of(R"({"type": "StripAccents"})", "e\u0301é") == "eé");
  CHECK(text_of(R"({"type": "Prepend", "prepend": "▁"})", "a") == "▁a");
  CHECK(text_of(R"({"type": "Prepend", "prepend": "▁"})", "") == "");
  CHECK(text_of(R"({"type": "Strip", "strip_left": true, "strip_right": true})", "\u00A0 a b\n") == "a b");
  CHECK(text_of(R"({"type": "Strip", "strip_left": false, "strip_right": true})", " a ") == " a");
  CHECK(text_of(R"({"type": "NFKC"})", "ﬁ") == "fi");
}

TEST_CASE("normalizer: a text that a few replacements would blow up is refused before it is made") {
  std::string parts;
  for (int i = 0; i < 8; ++i)
    parts += std::string(i ? "," : "") +
             R"({"type": "Replace", "pattern": {"Regex": ""}, "content": "0123456789abcdef"})";
  const std::string sequence = R"({"type": "Sequence", "normalizers": [)" + parts + "]}";
  require_error([&] { text_of(sequence, "a"); }, ExitCode::file, {"the tokenizer makes"});
  const std::string once =
      R"({"type": "Replace", "pattern": {"String": " "}, "content": "0123456789abcdef"})";
  CHECK(text_of(once, std::string(1 << 20, ' ')).size() == 16 << 20);
  const std::string wide =
      R"({"type": "Replace", "pattern": {"String": " "}, "content": ")" + std::string(1 << 16, 'x') + "\"}";
  require_error([&] { text_of(wide, std::string(1000, ' ')); }, ExitCode::file, {"of a text of 1000"});
}

TEST_CASE("normalizer: Replace takes texts and expressions, and the replacement as it is") {
  CHECK(text_of(R"({"type": "Replace", "pattern": {"String": "aa"}, "content": "b"})", "aaaac") == "bbc");
  CHECK(text_of(R"({"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": "$1"})", "a   b c") ==
        "a$1b c");
  CHECK(text_of(R"({"type": "Replace", "pattern": {"String": ""}, "content": "b"})", "ac") == "ac");
}

TEST_CASE("normalizer: a sequence applies its parts in order") {
  CHECK(text_of(R"({"type": "Sequence", "normalizers": [{"type": "NFD"}, {"type": "StripAccents"}]})", "é") ==
        "e");
}

TEST_CASE("normalizer: BERT cleans, spaces ideographs, strips accents and lowers") {
  const std::string all =
      R"("clean_text": true, "handle_chinese_chars": true, "strip_accents": null, "lowercase": true)";
  CHECK(bert(all, "Héllo\t日本\u200B!\x01") == "hello  日  本 !");
  const std::string cased =
      R"("clean_text": true, "handle_chinese_chars": true, "strip_accents": null, "lowercase": false)";
  CHECK(bert(cased, "Hé\u00A0x") == "Hé x");
  CHECK(
      bert(R"("clean_text": false, "handle_chinese_chars": false, "strip_accents": true, "lowercase": false)",
           "É\t日") == "E\t日");
}

TEST_CASE("normalizer: a fragment that loses its first character is not at the start any more") {
  CHECK(normalized(R"({"type": "Strip"})", "a ").at_start);
  CHECK_FALSE(normalized(R"({"type": "Strip"})", " a").at_start);
  CHECK_FALSE(normalized(R"({"type": "StripAccents"})", "\u0301a").at_start);
  CHECK(normalized(R"({"type": "Replace", "pattern": {"String": "a"}, "content": "bb"})", "ac").at_start);
  CHECK_FALSE(
      normalized(R"({"type": "Replace", "pattern": {"String": "aa"}, "content": "b"})", "aac").at_start);
}

TEST_CASE("normalizer: other types and malformed ones are refused with their place") {
  require_error([] { text_of(R"({"type": "Nmt"})", ""); }, ExitCode::file,
                {"tokenizer.json", "\"Nmt\"", "not supported"});
  require_error(
      [] { text_of(R"({"type": "Sequence", "normalizers": [{"type": "NFC"}, {"type": "X"}]})", ""); },
      ExitCode::file, {"normalizers[1]", "\"X\""});
  require_error([] { text_of(R"({"type": "Replace", "pattern": {}, "content": ""})", ""); }, ExitCode::file,
                {"pattern"});
  require_error([] { text_of(R"({"type": "Prepend"})", ""); }, ExitCode::file, {"prepend"});
  require_error([] { text_of(R"({"type": "Precompiled", "precompiled_charsmap": "AAAA"})", ""); },
                ExitCode::file, {"precompiled_charsmap"});
}
