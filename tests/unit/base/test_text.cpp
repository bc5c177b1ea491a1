#include "lora/base/text.h"

#include "support/catch.h"

using namespace lora;

TEST_CASE("text: numbers are printed for people") {
  CHECK(fixed(3.14159, 2) == "3.14");
  CHECK(fixed(-0.5, 0) == "-0");
  CHECK(fixed(1.0 / 0.0, 3) == "inf");
  CHECK(human_bytes(0) == "0 B");
  CHECK(human_bytes(1023) == "1023 B");
  CHECK(human_bytes(1048575) == "1.0 MiB");
  CHECK(human_bytes(1536) == "1.5 KiB");
  CHECK(human_bytes(3ULL << 30) == "3.0 GiB");
  CHECK(human_count(999) == "999");
  CHECK(human_count(134515008) == "134.5M");
  CHECK(human_seconds(0.04) == "0.0s");
  CHECK(human_seconds(75.2) == "1m15s");
  CHECK(human_seconds(3 * 3600 + 62) == "3h01m");
}

TEST_CASE("text: split keeps empty parts and trim removes only the ends") {
  CHECK(split("a..b", '.') == std::vector<std::string>{"a", "", "b"});
  CHECK(split("", '.') == std::vector<std::string>{""});
  CHECK(trim(" \t a b \r\n") == "a b");
  CHECK(trim(" \n").empty());
}

TEST_CASE("text: nearest names are near, nearest first, and far ones are left out") {
  const std::vector<std::string> names = {"rank", "alpha", "learning_rate", "dropout"};
  CHECK(nearest_names("rnak", names) == std::vector<std::string>{"rank"});
  CHECK(nearest_names("rate", names).front() == "rank");
  CHECK(nearest_names("learning", names).front() == "learning_rate");
  CHECK(nearest_names("zzzzzzzz", names).empty());
}

TEST_CASE("text: UTF-8 is checked strictly") {
  CHECK(is_valid_utf8("grün 漢字 \U0001F600"));
  CHECK_FALSE(is_valid_utf8("\xC0\xAF"));          // overlong
  CHECK_FALSE(is_valid_utf8("\xE0\x80\x80"));      // overlong
  CHECK_FALSE(is_valid_utf8("\xED\xA0\x80"));      // surrogate
  CHECK_FALSE(is_valid_utf8("\xF4\x90\x80\x80"));  // beyond U+10FFFF
  CHECK_FALSE(is_valid_utf8("\xE2\x82"));          // cut
  CHECK_FALSE(is_valid_utf8("\x80"));
}

TEST_CASE("text: what a terminal shows has no escapes, no reordering and no broken bytes") {
  CHECK(printable("a\x1b[31mb") == "a[31mb");
  CHECK(printable("a\nb\tc") == "a b c");
  CHECK(printable("a\xE2\x80\xAE" "b") == "ab");  // U+202E, right-to-left override
  CHECK(printable("a\xFF" "b") == "a\xEF\xBF\xBD" "b");
  CHECK(printable("\xC2\x9B" "1m") == "1m");  // U+009B, the one-byte escape of C1
}
