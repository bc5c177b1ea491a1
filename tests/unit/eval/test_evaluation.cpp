#include <ATen/ATen.h>

#include <algorithm>

#include "lora/eval/evaluate.h"
#include "support/errors.h"
#include "support/script_models.h"
#include "unit/data/char_tokenizer.h"

using namespace lora;
using lora::test::CharTokenizer;
using lora::test::require_error;
using lora::test::ScriptModels;

namespace {

// The bytes '!' to '-' are ids 37 to 49, within the script model's vocabulary of 50.
const std::vector<std::pair<std::string, std::string>> kRows = {
    {"!!\"#", "()"}, {"\"", "(*"}, {"#$%&'", "+"}, {"'!", "()"}, {"$$$", "+"}, {"%", "(*"}, {"&&'", "()"}};

struct Questions {
  ScriptModels models;
  Program program = Program::load(models.transformer());
  CharTokenizer tokenizer;
  EncodeOptions options;
  DataSet data;
  EncodedSet rows;

  Questions() {
    options.vocab_size = 50;
    for (std::size_t i = 0; i < kRows.size(); ++i) {
      data.examples.push_back(
          {static_cast<std::int64_t>(i + 1), PromptCompletion{kRows[i].first, kRows[i].second}});
    }
    rows = encode(data, tokenizer, options, 1);
  }

  Evaluation evaluation(std::int64_t max_tokens = 4096) const {
    return {rows.rows, Task::language_model, CharTokenizer::kPad, max_tokens};
  }
};

/// Sum of the log-likelihoods of the labelled ids, one row at a time in the plainest way.
double log_likelihood(const Executable& executable, const EncodedRow& row) {
  const at::Tensor ids = at::tensor(std::vector<std::int64_t>(row.ids.begin(), row.ids.end()), at::kLong);
  const at::Tensor logits =
      at::log_softmax(executable.logits({ids.unsqueeze(0), {}, {}})[0].to(at::kDouble), 1);
  double sum = 0;
  for (std::size_t t = 1; t < row.ids.size(); ++t) {
    if (row.labels[t] != -100) sum += logits[static_cast<std::int64_t>(t) - 1][row.ids[t]].item<double>();
  }
  return sum;
}

}  // namespace

TEST_CASE(
    "evaluation: loss and accuracy by label words equal scoring every word after every prompt by itself") {
  const Questions questions;
  const Executable executable = questions.program.executable();
  for (const std::vector<std::string>& words :
       {std::vector<std::string>{"(", ")", "*"}, {"()", "(*", "+"}, {"()", "+", "%%%%%%"}}) {
    EncodeOptions options = questions.options;
    options.append_eos = false;
    double loss = 0, right = 0;
    std::int64_t labelled = 0;
    for (std::size_t i = 0; i < kRows.size(); ++i) {
      loss -= log_likelihood(executable, questions.rows.rows[i]);
      labelled += questions.rows.rows[i].label_count();
      std::string best;
      double highest = -INFINITY;
      for (const std::string& word : words) {
        const double score = log_likelihood(
            executable, encode_prompt_completion({kRows[i].first, word}, questions.tokenizer, options));
        if (score > highest) best = word;
        highest = std::max(highest, score);
      }
      right += best == kRows[i].second;
    }
    for (const std::int64_t max_tokens : {1, 20, 4096}) {
      Evaluation evaluation = questions.evaluation(max_tokens);
      evaluation.add_questions(questions_of(questions.data, words), questions.tokenizer, questions.options);
      const Quality quality = evaluation.run(executable, at::kCPU);
      CHECK(quality.rows == 7);
      CHECK(quality.labelled == labelled);
      CHECK(quality.loss == Catch::Detail::Approx(loss / static_cast<double>(labelled)).epsilon(1e-6));
      CHECK(*quality.accuracy == Catch::Detail::Approx(right / 7));
    }
  }
}

TEST_CASE("evaluation: label words may be asked of the first rows only, and no words give no accuracy") {
  const Questions questions;
  const Executable executable = questions.program.executable();
  CHECK_FALSE(questions.evaluation().run(executable, at::kCPU).accuracy);
  Evaluation evaluation = questions.evaluation();
  evaluation.add_questions(questions_of(questions.data, {"()"}), questions.tokenizer, questions.options, 4);
  const Quality quality = evaluation.run(executable, at::kCPU);
  CHECK(quality.rows == 7);
  CHECK(*quality.accuracy == 0.5);  // the only word is always best; two of the first four rows have it
}

TEST_CASE(
    "evaluation: of a row's own choices the likeliest and the likeliest by byte are found as one by one") {
  const Questions questions;
  const Executable executable = questions.program.executable();
  EncodeOptions options = questions.options;
  const std::vector<std::vector<std::string>> choices = {
      {"()", "("}, {"(*+", "+", "("}, {"+", "++++"}, {"!", "#$", "(((("}, {"%", "%%"}};
  DataSet data;
  for (std::size_t i = 0; i < choices.size(); ++i)
    data.examples.push_back(
        {static_cast<std::int64_t>(i + 1), MultipleChoice{kRows[i].first, choices[i], i % 2}});
  const EncodedSet rows = encode(data, questions.tokenizer, options, 1);
  Evaluation evaluation(rows.rows, Task::language_model, CharTokenizer::kPad, 64);
  evaluation.add_questions(questions_of(data, {}), questions.tokenizer, options);
  const Quality quality = evaluation.run(executable, at::kCPU);
  REQUIRE(quality.outcomes.size() == choices.size());
  options.append_eos = false;
  bool differ = false;
  for (std::size_t i = 0; i < choices.size(); ++i) {
    std::vector<double> scores, by_byte;
    for (const std::string& choice : choices[i]) {
      scores.push_back(log_likelihood(
          executable, encode_prompt_completion({kRows[i].first, choice}, questions.tokenizer, options)));
      by_byte.push_back(scores.back() / static_cast<double>(choice.size()));
    }
    const RowOutcome& outcome = quality.outcomes[i];
    CHECK(outcome.truth == static_cast<std::int64_t>(i % 2));
    CHECK(outcome.predicted == std::max_element(scores.begin(), scores.end()) - scores.begin());
    CHECK(outcome.predicted_by_byte == std::max_element(by_byte.begin(), by_byte.end()) - by_byte.begin());
    differ |= outcome.predicted != outcome.predicted_by_byte;
  }
  CHECK(differ);  // else one of the two could be the other
}

TEST_CASE("evaluation: words without tokens and data without labels are refused") {
  const Questions questions;
  DataSet texts;
  texts.examples.push_back({1, PlainText{"!"}});
  require_error([&] { questions_of(texts, {"("}); }, ExitCode::data, {"no prompt/completion rows"});
  const Evaluation empty({}, Task::language_model, 0, 4096);
  require_error([&] { empty.run(questions.program.executable(), at::kCPU); }, ExitCode::data,
                {"no row has a labelled token"});
}

TEST_CASE(
    "evaluation: a batch that memory does not hold runs in halves, and a row that is too much is an error") {
  std::vector<EncodedRow> rows(5);
  for (EncodedRow& row : rows) {
    for (int i = 0; i < 100; ++i) row.ids.push_back(i * 3 % 40 + 1);
    row.labels = row.ids;
  }
  ScriptModels models;
  const Evaluation evaluation(rows, Task::language_model, CharTokenizer::kPad, 4096);
  const auto loss_with_room_for = [&](int positions) {
    Program program = Program::load(models.transformer(lora::test::too_large_from(positions)));
    return evaluation.run(program.executable(), at::kCPU).loss;
  };
  CHECK(std::abs(loss_with_room_for(250) - loss_with_room_for(1000)) < 1e-6);  // products of other shapes
  require_error([&] { loss_with_room_for(99); }, ExitCode::memory,
                {"not enough memory to evaluate a row of 100 tokens"});
}
