#include "lora/eval/evaluate.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "eval/device_batch.h"
#include "lora/base/error.h"
#include "lora/base/text.h"
#include "lora/kernels/cross_entropy.h"

namespace lora {
namespace {

bool is_labelled(std::int32_t label) { return label != -100; }

/// True if a pass over `row` also gives the logits that `ids` with `labels` need: their inputs (all ids but
/// the last) are the row's first, and every labelled position of theirs is one of the row's.
bool serves(const EncodedRow& row, const TokenIds& ids, const TokenIds& labels) {
  if (ids.size() > row.ids.size() || !std::equal(ids.begin(), ids.end() - 1, row.ids.begin())) return false;
  return std::equal(
      labels.begin(), labels.end(), row.labels.begin(),
      [](std::int32_t theirs, std::int32_t rows) { return !is_labelled(theirs) || is_labelled(rows); });
}

/// log softmax(logits)[row, id] for pairs of both, float64 on the CPU.
std::vector<double> log_likelihoods(const at::Tensor& logits, const std::vector<std::int64_t>& rows,
                                    const std::vector<std::int64_t>& ids) {
  const at::Tensor row = at::tensor(rows, at::kLong).to(logits.device());
  const at::Tensor id = at::tensor(ids, at::kLong).to(logits.device());
  const at::Tensor chosen = logits.flatten().index_select(0, row * logits.size(1) + id);
  const at::Tensor result =
      (chosen - logits.logsumexp(1).index_select(0, row)).to(at::kCPU, at::kDouble).contiguous();
  return {result.const_data_ptr<double>(), result.const_data_ptr<double>() + result.numel()};
}

}  // namespace

Evaluation::Evaluation(const std::vector<EncodedRow>& rows, Task task, std::int32_t pad_id,
                       std::int64_t max_tokens)
    : task_(task), pad_id_(pad_id), max_tokens_(max_tokens) {
  for (const EncodedRow& row : rows) passes_.push_back({row, true, {}});
}

void Evaluation::add_label_words(const DataSet& data, const std::vector<std::string>& words,
                                 const Tokenizer& tokenizer, const EncodeOptions& options, std::size_t most) {
  EncodeOptions word_options = options;
  word_options.append_eos = false;
  words_ = words;
  const std::size_t first_own = passes_.size();
  std::map<std::int64_t, std::size_t> pass_of_line;
  for (std::size_t i = 0; i < first_own; ++i) pass_of_line[passes_[i].row.line] = i;
  for (const Example& example : data.examples) {
    const auto* row = std::get_if<PromptCompletion>(&example.content);
    if (!row || answers_.size() == most) continue;
    const auto measured = pass_of_line.find(example.line);
    for (std::size_t word = 0; word < words.size(); ++word) {
      EncodedRow encoded = encode_prompt_completion({row->prompt, words[word]}, tokenizer, word_options);
      if (encoded.label_count() == 0) {
        throw Error(ExitCode::data,
                    cat("label word \"", printable(words[word]), "\" leaves no token to score"));
      }
      add_candidate({answers_.size(), word, std::move(encoded.ids), std::move(encoded.labels)}, first_own,
                    measured == pass_of_line.end() ? nullptr : &passes_[measured->second]);
    }
    answers_.push_back(row->completion);
  }
  if (answers_.empty()) throw Error(ExitCode::data, "label words: the data have no prompt/completion rows");
}

void Evaluation::add_candidate(Candidate candidate, std::size_t first_own, const Pass* measured) {
  const auto take = [&](const Pass& pass) { return serves(pass.row, candidate.ids, candidate.labels); };
  if (measured && take(*measured)) {
    const auto index = static_cast<std::size_t>(measured - passes_.data());
    passes_[index].candidates.push_back(std::move(candidate));
    return;
  }
  // Passes of the same question stand at the end.
  for (std::size_t i = passes_.size(); i > first_own; --i) {
    Pass& own = passes_[i - 1];
    if (own.candidates.front().question != candidate.question) break;
    if (!take(own)) continue;
    own.candidates.push_back(std::move(candidate));
    return;
  }
  EncodedRow row;
  row.ids = candidate.ids;
  row.labels = candidate.labels;
  passes_.push_back({std::move(row), false, {std::move(candidate)}});
}

double Evaluation::score(const Executable& executable, const std::vector<const Pass*>& passes,
                         at::Device device, Scores& scores) const {
  std::vector<const EncodedRow*> rows;
  for (const Pass* pass : passes) rows.push_back(&pass->row);
  const Batch batch = to_device(make_batch(rows, pad_id_, false), device);
  if (batch.labelled == 0) return 0;
  const at::Tensor logits = executable.logits_at(batch.inputs, batch.positions).to(at::kFloat);
  const at::Tensor positions = batch.positions.to(at::kCPU), targets = batch.targets.to(at::kCPU);
  std::vector<std::int64_t> terms, ids;
  std::vector<double*> sums;
  double loss = 0;
  for (std::int64_t term = 0; term < positions.size(0); ++term) {
    const std::int64_t flat = positions.const_data_ptr<std::int64_t>()[term];
    const auto next = static_cast<std::size_t>(flat % batch.time + 1);
    const auto want = [&](std::int64_t id, double* sum) {
      terms.push_back(term);
      ids.push_back(id);
      sums.push_back(sum);
    };
    const Pass& pass = *passes[static_cast<std::size_t>(flat / batch.time)];
    if (pass.counts) want(targets.const_data_ptr<std::int64_t>()[term], &loss);
    for (const Candidate& candidate : pass.candidates) {
      if (next >= candidate.ids.size() || !is_labelled(candidate.labels[next])) continue;
      want(candidate.ids[next], &scores[candidate.question][candidate.word]);
    }
  }
  const auto likelihoods = log_likelihoods(logits, terms, ids);
  for (std::size_t i = 0; i < sums.size(); ++i) *sums[i] += likelihoods[i];
  return -loss;
}

double Evaluation::label_word_accuracy(const Scores& scores) const {
  std::int64_t right = 0;
  for (std::size_t question = 0; question < answers_.size(); ++question) {
    const auto best =
        std::max_element(scores[question].begin(), scores[question].end()) - scores[question].begin();
    right += trim(words_[static_cast<std::size_t>(best)]) == trim(answers_[question]);
  }
  return static_cast<double>(right) / static_cast<double>(answers_.size());
}

Quality Evaluation::run(const Executable& executable, at::Device device) const {
  const at::NoGradGuard no_grad;
  const bool classification = task_ == Task::classification;
  std::vector<EncodedRow> rows;
  for (const Pass& pass : passes_) rows.push_back(pass.row);
  Scores scores(answers_.size(), std::vector<double>(words_.size(), 0));
  Quality quality;
  double sum = 0;
  std::int64_t right = 0;
  for (const auto& numbers : evaluation_batches(rows, max_tokens_)) {
    std::vector<const Pass*> passes;
    for (std::size_t number : numbers) {
      passes.push_back(&passes_[number]);
      if (!passes_[number].counts) continue;
      ++quality.rows;
      quality.labelled += classification ? 1 : passes_[number].row.label_count();
    }
    if (!classification) {
      sum += score(executable, passes, device, scores);
      continue;
    }
    const Batch batch = to_device(make_batch(pick(rows, numbers), pad_id_, true), device);
    const at::Tensor logits = executable.logits(batch.inputs);
    sum += cross_entropy_sum(logits, batch.targets).item<double>();
    right += logits.argmax(1).eq(batch.targets).sum().item<std::int64_t>();
  }
  if (quality.labelled == 0) throw Error(ExitCode::data, "evaluation: no row has a labelled token");
  quality.loss = sum / static_cast<double>(quality.labelled);
  quality.perplexity = std::exp(quality.loss);
  if (classification) quality.accuracy = static_cast<double>(right) / static_cast<double>(quality.rows);
  if (!answers_.empty()) quality.accuracy = label_word_accuracy(scores);
  return quality;
}

}  // namespace lora
