#include "lora/base/error.h"
#include "lora/eval/evaluate.h"
#include "support/catch.h"

using lora::DataSet;
using lora::find_label_words;
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

TEST_CASE("label words: an empty given word is a usage error") {
  REQUIRE_THROWS_AS(find_label_words(data_of({" a"}), {" "}), lora::Error);
}

TEST_CASE("label words: rows without completions have none") {
  DataSet data;
  data.examples.push_back({1, lora::PlainText{"x"}});
  CHECK(find_label_words(data, {}).empty());
}
