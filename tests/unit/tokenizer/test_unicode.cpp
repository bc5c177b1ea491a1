#include <string>
#include <vector>

#include "support/catch.h"
#include "tokenizer/unicode.h"

using namespace lora;

TEST_CASE("unicode: characters of one to four bytes are read and written back") {
  const std::string text = "aé日😀";
  std::string copy;
  std::vector<char32_t> characters;
  for (std::size_t at = 0; at < text.size();) {
    characters.push_back(next_char(text, at));
    append_utf8(copy, characters.back());
  }
  CHECK(characters == std::vector<char32_t>{0x61, 0xE9, 0x65E5, 0x1F600});
  CHECK(copy == text);
  CHECK(count_chars(text) == 4);
  CHECK(char_begin(text, text.size()) == text.size() - 4);
}

TEST_CASE("unicode: each maximal part of a malformed sequence becomes one U+FFFD") {
  CHECK(replace_invalid_utf8("a\x80z") == "a\uFFFDz");                  // a lone continuation
  CHECK(replace_invalid_utf8("\xE6\x97") == "\uFFFD");                  // a character that is cut off
  CHECK(replace_invalid_utf8("\xC0\xAF") == "\uFFFD\uFFFD");            // overlong
  CHECK(replace_invalid_utf8("\xED\xA0\x80") == "\uFFFD\uFFFD\uFFFD");  // a surrogate
  CHECK(replace_invalid_utf8("\xF4\x90\x80\x80") == "\uFFFD\uFFFD\uFFFD\uFFFD");  // beyond U+10FFFF
  CHECK(replace_invalid_utf8("\xF0\x9F\x98!") == "\uFFFD!");
  CHECK(replace_invalid_utf8("日本") == "日本");
}

TEST_CASE("unicode: white space is the property, without zero-width and Mongolian separators") {
  for (const char32_t c : std::u32string(U" \t\n\r\u0085\u00A0\u1680\u2009\u2028\u3000"))
    CHECK(is_white_space(c));
  for (const char32_t c : std::u32string(U"a\u200B\u180E\uFEFF\x1C")) CHECK_FALSE(is_white_space(c));
}

TEST_CASE("unicode: word characters include marks and joiners, other numbers and symbols are none") {
  for (const char32_t c : std::u32string(U"a_7é\u0301\u0966\u2160\u200D\u24B6")) CHECK(is_word_char(c));
  for (const char32_t c : std::u32string(U"- ½①€")) CHECK_FALSE(is_word_char(c));
}

TEST_CASE(
    "unicode: lower case of dotted capital I has two characters, that of capital sigma is context-free") {
  std::string lower;
  for (const char32_t c : std::u32string(U"\u0130\u03A3A")) append_lower(lower, c);
  CHECK(lower == "i\u0307\u03C3a");
}

TEST_CASE("unicode: normal forms compose, decompose and replace compatibility characters") {
  CHECK(to_normal_form("e\u0301", NormalForm::nfc) == "é");
  CHECK(to_normal_form("é", NormalForm::nfd) == "e\u0301");
  CHECK(to_normal_form("ﬁ①", NormalForm::nfkc) == "fi1");
  CHECK(to_normal_form("ﬁ①", NormalForm::nfc) == "ﬁ①");
  CHECK(to_normal_form("각", NormalForm::nfd) == "\u1100\u1161\u11A8");
  CHECK(to_normal_form("\u0378", NormalForm::nfkd) == "\u0378");  // not assigned
  CHECK(to_normal_form(std::string("a\0é", 4), NormalForm::nfd) == std::string("a\0e\u0301", 5));
}

TEST_CASE("unicode: emoji sequences, flags and CRLF are one grapheme cluster") {
  const std::string family = "👨‍👩‍👧", flags = "🇩🇪🇫🇷";
  CHECK(grapheme_end(family + "x", 0) == family.size());
  CHECK(grapheme_end(flags, 0) == flags.size() / 2);
  CHECK(grapheme_end("\r\nx", 0) == 2);
  CHECK(grapheme_end("e\u0301x", 0) == 3);
}
