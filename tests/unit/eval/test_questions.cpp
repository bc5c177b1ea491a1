#include "lora/base/error.h"
#include "lora/eval/questions.h"
#include "support/catch.h"
#include "support/errors.h"

using lora::DataSet;
using lora::ExitCode;
using lora::find_label_words;
using lora::test::require_error;
using Words = std::vector<std::string>;

namespace {

DataSet data_of(const Words& completions) {
  DataSet data;
  for (const auto& completion : completions)
    data.examples.push_back({1, lora::PromptCompletion{"p", completion}});
  return data;
}

}  // namespace

TEST_CASE("label words: distinct completions that recur are found in a fixed order") {
  CHECK(find_label_words(data_of({" yes", " no", " yes", " no"}), {}) == Words{" no", " yes"});
}

TEST_CASE("label words: a completion that occurs once means free text") {
  CHECK(find_label_words(data_of({" yes", " no", " yes"}), {}).empty());
}

TEST_CASE("label words: one single completion or more than 32 are no classification") {
  CHECK(find_label_words(data_of({" yes", " yes"}), {}).empty());
  Words many;
  for (int i = 0; i < 66; ++i) many.push_back(std::to_string(i % 33));
  CHECK(find_label_words(data_of(many), {}).empty());
  many.resize(64);
  for (auto& word : many) word = std::to_string((&word - many.data()) % 32);
  CHECK(find_label_words(data_of(many), {}).size() == 32);
}

TEST_CASE("label words: given words take the spelling of the data") {
  const DataSet data = data_of({" positive", " negative"});
  CHECK(find_label_words(data, {"positive", "negative", "neutral"}) ==
        Words{" positive", " negative", " neutral"});
  CHECK(find_label_words(data_of({"positive"}), {"positive", "other"}) == Words{"positive", "other"});
}

TEST_CASE("label words: one that is empty, alone or given twice is a usage error") {
  const DataSet data = data_of({" a", " b"});
  for (const Words& words : {Words{"a", " "}, Words{"a"}, Words{"a", "b", " a"}})
    require_error([&] { find_label_words(data, words); }, ExitCode::usage, {"--label-words"});
}

TEST_CASE("label words: given ones that are no row's answer are a data error") {
  require_error([] { find_label_words(data_of({" yes", " no", " yes"}), {"ja", "nein"}); }, ExitCode::data,
                {"3 of 3 rows", "nein\"", "for example \"no\""});
  CHECK(find_label_words(data_of({" yes", " no"}), {"yes", "nein"}) == Words{" yes", " nein"});
}

TEST_CASE("label words: rows without completions have none") {
  DataSet data;
  data.examples.push_back({1, lora::PlainText{"x"}});
  CHECK(find_label_words(data, {}).empty());
}

TEST_CASE("questions: words are asked of every prompt, and the right one is found apart from spaces") {
  const auto questions = lora::questions_of(data_of({" yes", "no", " maybe"}), {" yes", " no"});
  REQUIRE(questions.size() == 3);
  CHECK(questions[0].choices == Words{" yes", " no"});
  CHECK(questions[0].right == 0);
  CHECK(questions[1].right == 1);
  CHECK(questions[2].right == -1);
}

TEST_CASE("questions: rows with choices bring their own, and take no label words") {
  DataSet data;
  data.examples.push_back({7, lora::MultipleChoice{"2+2=", {" 3", " 4", " 5"}, 1}});
  const auto questions = lora::questions_of(data, {});
  REQUIRE(questions.size() == 1);
  CHECK(questions[0].line == 7);
  CHECK(questions[0].choices == Words{" 3", " 4", " 5"});
  CHECK(questions[0].right == 1);
  CHECK(find_label_words(data, {}).empty());
  REQUIRE_THROWS_AS(find_label_words(data, {"4"}), lora::Error);
}

TEST_CASE("questions: there are none without words and choices") {
  CHECK(lora::questions_of(data_of({"a", "b"}), {}).empty());
}
