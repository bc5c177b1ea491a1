#include "char_tokenizer.h"
#include "data_text.h"
#include "lora/base/random.h"
#include "lora/data/encode.h"
#include "support/errors.h"

using lora::encode;
using lora::encode_prompt_completion;
using lora::EncodedSet;
using lora::EncodeOptions;
using lora::ExitCode;
using lora::PromptCompletion;
using lora::test::CharTokenizer;
using lora::test::data_of;
using lora::test::require_error;
using lora::test::shown;

namespace {

/// Rows of different lengths, some too long for 40 tokens, some to be cut.
lora::DataSet many_rows() {
  std::vector<lora::Content> rows;
  const lora::CounterRandom random(1, 1);
  for (std::uint64_t i = 0; i < 1000; ++i) {
    rows.push_back(PromptCompletion{std::string(random.below(2 * i, 50), 'p'),
                                    std::string(1 + random.below(2 * i + 1, 45), 'c')});
  }
  return data_of(std::move(rows));
}

EncodeOptions at_most(std::int64_t max_length) {
  EncodeOptions options;
  options.max_length = max_length;
  return options;
}

}  // namespace

TEST_CASE("encode: rows and counts do not depend on the number of threads") {
  const auto data = many_rows();
  const EncodedSet one = encode(data, CharTokenizer(), at_most(40), 1);
  CHECK(one.report.dropped_long > 0);
  CHECK(one.report.cut > 0);
  for (int threads : {2, 5}) {
    const EncodedSet more = encode(data, CharTokenizer(), at_most(40), threads);
    CHECK(more.report.summary() == one.report.summary());
    REQUIRE(more.rows.size() == one.rows.size());
    for (std::size_t i = 0; i < one.rows.size(); ++i) {
      CHECK(more.rows[i].ids == one.rows[i].ids);
      CHECK(more.rows[i].labels == one.rows[i].labels);
      CHECK(more.rows[i].line == one.rows[i].line);
    }
  }
}

TEST_CASE("encode: every row is kept or counted as dropped, every token kept or counted as cut") {
  const auto data = many_rows();
  const EncodedSet set = encode(data, CharTokenizer(), at_most(40), 1);
  CHECK(set.report.rows + set.report.dropped_long + set.report.dropped_empty == 1000);
  std::int64_t tokens_of_kept = 0;
  for (const auto& row : set.rows) {
    const auto& source =
        std::get<PromptCompletion>(data.examples[static_cast<std::size_t>(row.line - 1)].content);
    tokens_of_kept += static_cast<std::int64_t>(source.prompt.size() + source.completion.size()) + 2;
    CHECK(row.label_count() == static_cast<std::int64_t>(source.completion.size()) + 1);
  }
  CHECK(set.report.tokens + set.report.cut_tokens == tokens_of_kept);
}

TEST_CASE("encode: all rows dropped is a data error with the reasons") {
  require_error(
      [] { encode(data_of({PromptCompletion{"p", "completion"}}), CharTokenizer(), at_most(4), 1); },
      ExitCode::data, {"rows.jsonl", "no row is left of 1", "1 are too long", "max_length of 4"});
  require_error([] { encode(data_of({}), CharTokenizer(), {}, 1); }, ExitCode::data, {"no row is left of 0"});
}

TEST_CASE("encode: an id beyond the vocabulary is a mismatch that names row and id") {
  EncodeOptions options;
  options.vocab_size = 100;
  const auto data = data_of({lora::TokenSequence{{5, 99}, {5, 99}}, lora::TokenSequence{{5, 100}, {5, 100}}});
  require_error([&] { encode(data, CharTokenizer(), options, 1); }, ExitCode::mismatch,
                {"rows.jsonl line 2", "token id 100", "vocabulary of 100"});
}

TEST_CASE("encode: of several bad rows the first is reported by any number of threads") {
  EncodeOptions options;
  options.vocab_size = 100;
  std::vector<lora::Content> rows(500, lora::TokenSequence{{5, 6}, {5, 6}});
  for (std::size_t bad : {301u, 402u, 450u}) rows[bad] = lora::TokenSequence{{5, 1000}, {5, 1000}};
  for (int threads : {1, 3}) {
    require_error([&] { encode(data_of(rows), CharTokenizer(), options, threads); }, ExitCode::mismatch,
                  {"line 302"});
  }
}

TEST_CASE("encode: a max_length of one token is a usage error") {
  require_error([] { encode(data_of({PromptCompletion{"p", "c"}}), CharTokenizer(), at_most(1), 1); },
                ExitCode::usage, {"--max-length 1"});
}

TEST_CASE("encode: one prompt and completion are encoded as encode does") {
  const PromptCompletion row{"prompt", " answer"};
  const auto set = encode(data_of({row}), CharTokenizer(), at_most(12), 1);
  const auto single = encode_prompt_completion(row, CharTokenizer(), at_most(12));
  CHECK(single.ids == set.rows[0].ids);
  CHECK(single.labels == set.rows[0].labels);
  CHECK(shown(single.ids) == "^mpt answer$");
}

TEST_CASE("encode: one completion that does not fit has no labels") {
  CHECK(encode_prompt_completion({"prompt", " answer"}, CharTokenizer(), at_most(5)).label_count() == 0);
}

TEST_CASE("encoded row: the first label is not counted, nothing predicts it") {
  lora::EncodedRow row;
  CHECK(row.label_count() == 0);
  row.labels = {5};
  CHECK(row.label_count() == 0);
  row.labels = {5, -100, 7};
  CHECK(row.label_count() == 1);
}
