#include "char_tokenizer.h"
#include "data/labelled_rows.h"
#include "data_text.h"
#include "support/errors.h"

using lora::EncodedSet;
using lora::EncodeOptions;
using lora::ExitCode;
using lora::LabelledText;
using lora::LabelledTokens;
using lora::Overlong;
using lora::TokenIds;
using lora::test::CharTokenizer;
using lora::test::data_of;
using lora::test::require_error;
using lora::test::shown;

namespace {

EncodedSet encode_rows(std::vector<lora::Content> rows, std::int64_t max_length = 0,
                       Overlong overlong = Overlong::cut) {
  EncodeOptions options;
  options.task = lora::Task::classification;
  options.labels = {"no", "yes"};
  options.max_length = max_length;
  options.overlong = overlong;
  return lora::encode(data_of(std::move(rows)), CharTokenizer(), options, 1);
}

EncodedSet encode_values(std::vector<lora::Content> rows) {
  EncodeOptions options;
  options.task = lora::Task::regression;
  return lora::encode(data_of(std::move(rows)), CharTokenizer(), options, 1);
}

}  // namespace

TEST_CASE("labelled rows: a regressor's label is a number") {
  const auto set = encode_values(
      {LabelledText{"ab", "cd", "3.8"}, LabelledText{"ab", {}, "-1e-1"}, LabelledTokens{{1, 2}, " 5 "}});
  CHECK(set.rows[0].value == 3.8);
  CHECK(set.rows[1].value == -0.1);
  CHECK(set.rows[2].value == 5);
  CHECK(set.report.labelled == 3);
}

TEST_CASE("labelled rows: a regressor refuses labels that are no finite number") {
  for (const char* label : {"good", "", "1.5x", "nan", "inf", "1e999", "true"}) {
    require_error([&] { encode_values({LabelledText{"ab", {}, label}}); }, ExitCode::data,
                  {"no number", "regressor"});
  }
}

TEST_CASE("labelled rows: a text gets what the tokenizer puts around it, and its class") {
  const auto set = encode_rows({LabelledText{"ab", {}, "yes"}});
  CHECK(shown(set.rows[0].ids) == "^ab");
  CHECK(set.rows[0].target == 1);
  CHECK(set.rows[0].types.empty());
  CHECK(set.rows[0].labels.empty());
  CHECK(set.report.labelled == 1);
}

TEST_CASE("labelled rows: a pair has token types") {
  const auto set = encode_rows({LabelledText{"ab", "cd", "0"}});
  CHECK(shown(set.rows[0].ids) == "^ab$cd");
  CHECK(set.rows[0].types == std::vector<std::int32_t>{0, 0, 0, 0, 1, 1});
  CHECK(set.rows[0].target == 0);
}

TEST_CASE("labelled rows: cutting shortens the longer text from its right and keeps the frame") {
  CHECK(shown(encode_rows({LabelledText{"abcdef", {}, "no"}}, 4).rows[0].ids) == "^abc");
  CHECK(shown(encode_rows({LabelledText{"abcdef", "xy", "no"}}, 7).rows[0].ids) == "^abc$xy");
  CHECK(shown(encode_rows({LabelledText{"ab", "uvwxyz", "no"}}, 6).rows[0].ids) == "^ab$uv");
  const auto report = encode_rows({LabelledText{"abcdef", "xy", "no"}}, 7).report;
  CHECK(report.cut == 1);
  CHECK(report.cut_tokens == 3);
}

TEST_CASE("labelled rows: ready ids are taken as they are, and keep the last one when cut") {
  CHECK(encode_rows({LabelledTokens{{7, 8, 9, 10}, "no"}}).rows[0].ids == TokenIds{7, 8, 9, 10});
  CHECK(encode_rows({LabelledTokens{{7, 8, 9, 10}, "no"}}, 3).rows[0].ids == TokenIds{7, 8, 10});
}

TEST_CASE("labelled rows: overlong rows can be dropped or refused") {
  const std::vector<lora::Content> rows = {LabelledText{"abcdef", {}, "no"}, LabelledText{"a", {}, "no"},
                                           LabelledTokens{{7, 8, 9, 10, 11}, "no"}};
  const auto set = encode_rows(rows, 4, Overlong::drop);
  CHECK(set.rows.size() == 1);
  CHECK(set.report.dropped_long == 2);
  require_error([&] { encode_rows(rows, 4, Overlong::error); }, ExitCode::data,
                {"rows.jsonl line 1", "7 tokens", "at most 4"});
}

TEST_CASE("labelled rows: a row whose frame alone is too long is dropped") {
  CHECK(encode_rows({LabelledText{"a", "b", "no"}, LabelledText{"a", {}, "no"}}, 2).report.dropped_long == 1);
}

TEST_CASE("labelled rows: rows without labels do not fit a classifier") {
  require_error([] { encode_rows({lora::PromptCompletion{"p", "c"}}); }, ExitCode::mismatch,
                {"rows.jsonl line 1", "classifier"});
}

TEST_CASE("labelled rows: unknown labels are an error before anything is encoded") {
  require_error([] { encode_rows({LabelledText{"ab", {}, "maybe"}}); }, ExitCode::data, {"maybe"});
}
