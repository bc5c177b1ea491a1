#include "base/text_table.h"
#include "lora/base/error.h"
#include "support/catch.h"

TEST_CASE("text table: first column to the left, others to the right, no trailing spaces") {
  lora::TextTable table({"name", "n", "path"}, {2});
  table.add({"a", "1", "x"});
  table.add({"longer", "1000", "yy"});
  CHECK(table.str() ==
        "name       n  path\n"
        "------------------\n"
        "a          1  x\n"
        "longer  1000  yy\n");
}

TEST_CASE("text table: width counts code points, not bytes") {
  lora::TextTable table({"n", "v"});
  table.add({"é", "1"});
  table.add({"ee", "2"});
  CHECK(table.str() == "n   v\n-----\né   1\nee  2\n");
}

TEST_CASE("text table: control characters of a cell do not reach the terminal") {
  lora::TextTable table({"n", "v"});
  table.add({"\x1b[2J", "1"});
  CHECK(table.str().find('\x1b') == std::string::npos);
}

TEST_CASE("text table: a row of another length is refused") {
  lora::TextTable table({"n", "v"});
  REQUIRE_THROWS_AS(table.add({"only"}), lora::Error);
}
