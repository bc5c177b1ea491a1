#include "data/class_labels.h"
#include "data_text.h"
#include "support/errors.h"

using lora::ClassLabels;
using lora::Content;
using lora::ExitCode;
using lora::LabelledText;
using lora::LabelledTokens;
using lora::test::data_of;
using lora::test::require_error;

TEST_CASE("class labels: names and indices are found") {
  const ClassLabels labels({"no", "yes"});
  CHECK(labels.find("yes") == 1);
  CHECK(labels.find("0") == 0);
  for (const char* unknown : {"2", "-1", "Yes", "", "01"}) CHECK(!labels.find(unknown));
}

TEST_CASE("class labels: a name that is a number wins over an index") {
  const ClassLabels labels({"1", "0"});
  CHECK(labels.find("1") == 0);
  CHECK(labels.find("0") == 1);
}

TEST_CASE("class labels: all unknown labels are listed at once with count and first row") {
  const auto data = data_of({LabelledText{"t", {}, "yes"}, LabelledText{"t", {}, "maybe"},
                             LabelledTokens{{5}, "never"}, LabelledText{"t", {}, "maybe"}});
  require_error([&] { ClassLabels({"no", "yes"}).check(data); }, ExitCode::data,
                {"rows.jsonl", "2 labels", "\"maybe\" (2 rows, first line 2)",
                 "\"never\" (1 row, first line 3)", "its classes are no, yes"});
}

TEST_CASE("class labels: long lists are cut with their number") {
  std::vector<Content> rows;
  for (int i = 0; i < 50; ++i) rows.push_back(LabelledText{"t", {}, "x" + std::to_string(i)});
  require_error([&] { ClassLabels({"no", "yes"}).check(data_of(rows)); }, ExitCode::data,
                {"50 labels", "and 30 more"});
}

TEST_CASE("class labels: known labels and rows without labels pass") {
  CHECK_NOTHROW(
      ClassLabels({"no", "yes"}).check(data_of({LabelledText{"t", {}, "1"}, lora::PlainText{"t"}})));
}
