#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <limits>
#include <map>

#include "eval/device_batch.h"
#include "lora/base/error.h"
#include "lora/base/text.h"
#include "lora/eval/evaluate.h"

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

/// One word after one prompt. Its label positions are those of its group; only the last id may differ.
struct Candidate {
  std::size_t row, word;
  TokenIds ids, labels;
};

/// Candidates whose inputs (all ids but the last) and labelled positions agree: one forward pass serves them.
struct Group {
  EncodedRow input;
  std::vector<Candidate> candidates;
};

bool same_input(const EncodedRow& a, const EncodedRow& b) {
  if (a.ids.size() != b.ids.size() || !std::equal(a.ids.begin(), a.ids.end() - 1, b.ids.begin()))
    return false;
  return std::equal(a.labels.begin(), a.labels.end(), b.labels.begin(),
                    [](std::int32_t x, std::int32_t y) { return (x == -100) == (y == -100); });
}

void add_row(std::vector<Group>& groups, std::size_t number, const PromptCompletion& row,
             const std::vector<std::string>& words, const Tokenizer& tokenizer,
             const EncodeOptions& options) {
  const std::size_t first = groups.size();
  for (std::size_t word = 0; word < words.size(); ++word) {
    EncodedRow encoded = encode_prompt_completion({row.prompt, words[word]}, tokenizer, options);
    if (encoded.label_count() == 0) {
      throw Error(ExitCode::data,
                  cat("label word \"", printable(words[word]), "\" leaves no token to score"));
    }
    auto group = std::find_if(groups.begin() + static_cast<std::ptrdiff_t>(first), groups.end(),
                              [&](const Group& known) { return same_input(known.input, encoded); });
    if (group == groups.end()) group = groups.insert(groups.end(), Group{encoded, {}});
    group->candidates.push_back({number, word, std::move(encoded.ids), std::move(encoded.labels)});
  }
}

/// Adds the log-likelihood of every candidate of `groups` (the rows of `batch`, in order) to
/// `scores[row][word]`.
void score(const Executable& executable, const Batch& batch, const std::vector<const Group*>& groups,
           std::vector<std::vector<double>>& scores) {
  const at::Tensor logits = executable.logits_at(batch.inputs, batch.positions).to(at::kFloat);
  const at::Tensor normaliser = logits.logsumexp(1);
  const at::Tensor positions = batch.positions.to(at::kCPU);
  const std::int64_t time = batch.inputs.input_ids.size(1);
  std::vector<std::int64_t> terms, tokens;
  std::vector<double*> sums;
  for (std::int64_t term = 0; term < positions.size(0); ++term) {
    const std::int64_t flat = positions[term].item<std::int64_t>();
    for (const Candidate& candidate : groups[static_cast<std::size_t>(flat / time)]->candidates) {
      terms.push_back(term);
      tokens.push_back(candidate.ids[static_cast<std::size_t>(flat % time + 1)]);
      sums.push_back(&scores[candidate.row][candidate.word]);
    }
  }
  const at::Tensor term = at::tensor(terms, at::kLong).to(logits.device());
  const at::Tensor token = at::tensor(tokens, at::kLong).to(logits.device());
  const at::Tensor chosen = logits.flatten().index_select(0, term * logits.size(1) + token);
  const at::Tensor likelihood = (chosen - normaliser.index_select(0, term)).to(at::kCPU, at::kDouble);
  for (std::size_t i = 0; i < sums.size(); ++i)
    *sums[i] += likelihood[static_cast<std::int64_t>(i)].item<double>();
}

}  // namespace

std::vector<std::string> find_label_words(const DataSet& data, const std::vector<std::string>& given) {
  const auto counts = count_completions(data);
  std::vector<std::string> words;
  if (!given.empty()) {
    for (const std::string& word : given) {
      if (trim(word).empty()) throw Error(ExitCode::usage, "--label-words: a word is empty");
      words.push_back(as_in_data(word, counts));
    }
    return words;
  }
  if (counts.size() < 2 || counts.size() > kMostWords) return {};
  for (const auto& [completion, count] : counts) {
    if (count < 2) return {};
    words.push_back(completion);
  }
  return words;
}

double label_word_accuracy(const Executable& executable, const DataSet& data,
                           const std::vector<std::string>& words, const Tokenizer& tokenizer,
                           const EncodeOptions& options, std::int32_t pad_id, std::int64_t max_tokens,
                           at::Device device) {
  const at::NoGradGuard no_grad;
  EncodeOptions word_options = options;
  word_options.append_eos = false;
  std::vector<Group> groups;
  std::vector<std::string> answers;
  for (const Example& example : data.examples) {
    const auto* row = prompt_completion(example);
    if (!row) continue;
    add_row(groups, answers.size(), *row, words, tokenizer, word_options);
    answers.push_back(row->completion);
  }
  if (answers.empty()) throw Error(ExitCode::data, "label words: the data have no prompt/completion rows");

  std::vector<EncodedRow> inputs;
  for (const Group& group : groups) inputs.push_back(group.input);
  std::vector<std::vector<double>> scores(answers.size(), std::vector<double>(words.size(), 0));
  for (const auto& numbers : evaluation_batches(inputs, max_tokens)) {
    std::vector<const Group*> members;
    for (std::size_t number : numbers) members.push_back(&groups[number]);
    score(executable, to_device(make_batch(pick(inputs, numbers), pad_id, false), device), members, scores);
  }

  std::int64_t right = 0;
  for (std::size_t row = 0; row < answers.size(); ++row) {
    const auto best = std::max_element(scores[row].begin(), scores[row].end()) - scores[row].begin();
    right += trim(words[static_cast<std::size_t>(best)]) == trim(answers[row]);
  }
  return static_cast<double>(right) / static_cast<double>(answers.size());
}

}  // namespace lora
