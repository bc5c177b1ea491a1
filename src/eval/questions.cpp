#include "lora/eval/questions.h"

#include <algorithm>
#include <map>

#include "lora/base/error.h"
#include "lora/base/log.h"
#include "lora/base/text.h"

namespace lora {
namespace {

constexpr std::size_t kMostWords = 32;

const PromptCompletion* prompt_completion(const Example& example) {
  return std::get_if<PromptCompletion>(&example.content);
}

/// Distinct completions with their counts.
std::map<std::string, std::int64_t> count_completions(const DataSet& data) {
  std::map<std::string, std::int64_t> counts;
  for (const Example& example : data.examples) {
    if (const auto* row = prompt_completion(example)) ++counts[row->completion];
  }
  return counts;
}

/// `word` as the data spell it: "positive" becomes " positive" if completions begin with a space.
std::string as_in_data(const std::string& word, const std::map<std::string, std::int64_t>& counts) {
  for (const auto& [completion, count] : counts) {
    if (trim(completion) == trim(word)) return completion;
  }
  const bool spaced =
      !counts.empty() && !counts.begin()->first.empty() && counts.begin()->first.front() == ' ';
  return spaced && word.front() != ' ' ? " " + word : word;
}

/// Number of the choice that is `answer`, spaces apart; -1 if none is.
std::int64_t right_choice(const std::vector<std::string>& choices, const std::string& answer) {
  const auto found = std::find_if(choices.begin(), choices.end(),
                                  [&](const std::string& choice) { return trim(choice) == trim(answer); });
  return found == choices.end() ? -1 : found - choices.begin();
}

/// Rows whose answer is none of the words are counted; data error if all are.
void check_answers(const DataSet& data, const std::vector<std::string>& words,
                   const std::map<std::string, std::int64_t>& counts) {
  std::int64_t rows = 0, others = 0;
  std::string other;
  for (const auto& [completion, count] : counts) {
    rows += count;
    if (right_choice(words, completion) >= 0) continue;
    others += count;
    if (other.empty()) other = cat("\"", printable(trim(completion)), "\"");
  }
  if (others == 0) return;
  const std::string found =
      cat("--label-words: the answers of ", others, " of ", rows, " rows of ", data.path.string(),
          " are none of the words \"", printable(join(words, "\", \"")), "\", for example ", other);
  if (others == rows)
    throw Error(ExitCode::data, found, "give the completions of the data that are to be told apart");
  log_warn("eval", found, "; they count as wrong");
}

bool has_choices(const DataSet& data) {
  return !data.examples.empty() && std::holds_alternative<MultipleChoice>(data.examples[0].content);
}

/// The words as the data spell them.
std::vector<std::string> given_words(const DataSet& data, const std::vector<std::string>& given,
                                     const std::map<std::string, std::int64_t>& counts) {
  const auto refuse = [](const std::string& what) {
    throw Error(ExitCode::usage, cat("--label-words: ", what), "for example --label-words yes,no");
  };
  if (has_choices(data)) refuse("the rows have choices of their own");
  std::vector<std::string> words;
  for (const std::string& word : given) {
    if (trim(word).empty()) refuse("a word is empty");
    if (right_choice(words, word) >= 0) refuse(cat("\"", printable(trim(word)), "\" is given twice"));
    words.push_back(as_in_data(word, counts));
  }
  if (words.size() == 1) refuse(cat("\"", printable(trim(words[0])), "\" alone leaves nothing to choose"));
  check_answers(data, words, counts);
  return words;
}

}  // namespace

std::vector<Question> questions_of(const DataSet& data, const std::vector<std::string>& words) {
  std::vector<Question> questions;
  if (!has_choices(data) && words.empty()) return questions;
  for (const Example& example : data.examples) {
    if (const auto* own = std::get_if<MultipleChoice>(&example.content))
      questions.push_back({example.line, own->prompt, own->choices, static_cast<std::int64_t>(own->right)});
    else if (const auto* row = prompt_completion(example))
      questions.push_back({example.line, row->prompt, words, right_choice(words, row->completion)});
  }
  if (questions.empty()) throw Error(ExitCode::data, "label words: the data have no prompt/completion rows");
  return questions;
}

std::vector<std::string> find_label_words(const DataSet& data, const std::vector<std::string>& given) {
  const auto counts = count_completions(data);
  if (!given.empty()) return given_words(data, given, counts);
  if (counts.size() < 2 || counts.size() > kMostWords) return {};
  std::vector<std::string> words;
  for (const auto& [completion, count] : counts) {
    if (count < 2) return {};
    words.push_back(completion);
  }
  return words;
}

}  // namespace lora
