#include <vector>

#include "data/row_source.h"
#include "lora/base/text.h"
#include "support/errors.h"

using lora::ExitCode;
using lora::RowSource;
using lora::test::require_error;

namespace {

using Rows = std::vector<std::string>;

/// Each row as "number@line text".
Rows rows_of(const std::string& bytes) {
  RowSource source(bytes, "f");
  Rows rows;
  while (const auto row = source.next())
    rows.push_back(lora::cat(row->number, "@", row->line, " ", row->text));
  return rows;
}

void require_refused(const std::string& bytes, std::initializer_list<std::string> parts) {
  require_error([&] { rows_of(bytes); }, ExitCode::data, parts);
}

}  // namespace

TEST_CASE("row source: lines are numbered as in the file, blank ones left out, CR removed") {
  CHECK(rows_of("{1}\r\n\n  \t\n{2}\n{3}") == Rows{"1@1 {1}", "4@4 {2}", "5@5 {3}"});
}

TEST_CASE("row source: a byte-order mark is skipped before lines and before an array") {
  CHECK(rows_of("\xEF\xBB\xBF{1}") == Rows{"1@1 {1}"});
  CHECK(rows_of("\xEF\xBB\xBF [1]") == Rows{"1@1 1"});
}

TEST_CASE("row source: elements of an array keep number, line and indentation") {
  CHECK(rows_of("\n[\n  {\"a\": 1},\n\n  {\"b\":\n 2} ]\n") ==
        Rows{"1@3   {\"a\": 1}", "2@5   {\"b\":\n 2} "});
}

TEST_CASE("row source: commas and brackets inside strings and deeper levels do not end an element") {
  const std::string text = R"({"a":"],\"}, ["})", back_slash = R"("x\\")";
  CHECK(rows_of("[" + text + ",[1,[2]]," + back_slash + "]") ==
        Rows{"1@1 " + text, "2@1 [1,[2]]", "3@1 " + back_slash});
}

TEST_CASE("row source: an empty file and an empty array have no rows") {
  CHECK(rows_of("").empty());
  CHECK(rows_of(" \n\n").empty());
  CHECK(rows_of("[ \n ] \n").empty());
}

TEST_CASE("row source: an array that does not end is refused with its line") {
  require_refused("[\n{\"a\": 1},\n{\"b\": ", {"f line 3", "not closed", "element 2"});
  require_refused("[", {"f line 1", "not closed"});
  require_refused("[{\"a\": \"]", {"not closed"});
  require_refused("[\"\\", {"not closed"});
}

TEST_CASE("row source: a trailing comma and text behind the array are refused") {
  require_refused("[1,\n]", {"f line 2", "comma"});
  require_refused("[1]\n{\"a\": 1}", {"f line 2", "follows the array", "{\"a\": 1}"});
}

TEST_CASE("row source: a million nested brackets are one element") {
  const std::string deep = "[" + std::string(1000000, '[') + std::string(1000000, ']') + "]";
  CHECK(rows_of(deep).at(0).size() == 4 + 2000000);
}
