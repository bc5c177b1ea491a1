#include "lora/eval/evaluate.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <map>

#include "eval/device_batch.h"
#include "eval/head_parts.h"
#include "kernels/lanes.h"
#include "lora/base/error.h"
#include "lora/base/process.h"
#include "lora/base/stop.h"
#include "lora/base/text.h"

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

/// Bytes of a choice without the spaces around it; 1 if nothing else is there.
std::size_t bytes_of(const std::string& choice) { return std::max<std::size_t>(1, trim(choice).size()); }

/// log softmax(logits)[row, id] for pairs of both, float64 on the CPU. `rows` rise.
std::vector<double> log_likelihoods(const at::Tensor& logits, const at::Tensor& rows, const at::Tensor& ids) {
  const at::Tensor wide = logits.to(at::kFloat), row = rows.to(logits.device()), id = ids.to(logits.device());
  const at::Tensor chosen = wide.flatten().index_select(0, row * wide.size(1) + id);
  const at::Tensor result =
      (chosen - wide.logsumexp(1).index_select(0, row)).to(at::kCPU, at::kDouble).contiguous();
  return {result.const_data_ptr<double>(), result.const_data_ptr<double>() + result.numel()};
}

/// The same for labelled positions of a batch, by number. Parts of them pass the head at a time where it is
/// apart.
std::vector<double> log_likelihoods(const Executable& executable, const Batch& batch,
                                    const std::vector<std::int64_t>& terms,
                                    const std::vector<std::int64_t>& ids) {
  const at::Tensor id = at::tensor(ids, at::kLong), term = at::tensor(terms, at::kLong);
  if (!executable.splits_at_head())
    return log_likelihoods(executable.logits_at(batch.inputs, batch.positions), term, id);
  std::vector<double> all;
  for_each_head_part(
      executable.before_head(batch.inputs, batch.positions), [&](std::int64_t begin, const at::Tensor& part) {
        const auto place = [&](std::int64_t row) {
          return std::lower_bound(terms.begin(), terms.end(), row) - terms.begin();
        };
        const std::int64_t first = place(begin), count = place(begin + part.size(0)) - first;
        const auto some = log_likelihoods(executable.head(part), term.narrow(0, first, count) - begin,
                                          id.narrow(0, first, count));
        all.insert(all.end(), some.begin(), some.end());
      });
  return all;
}

[[noreturn]] void row_is_too_large(const EncodedRow& row) {
  throw Error(ExitCode::memory,
              cat("not enough memory to evaluate a row of ", row.ids.size(), " tokens (",
                  human_bytes(resident_bytes()), " in use, ", human_bytes(available_bytes()), " available)"),
              "lower --max-length, or close other programs");
}

/// Tokens that a lane's batches should have room for.
constexpr std::int64_t kTokensOfLane = 256;

int count_lanes(at::Device device, std::int64_t max_tokens) {
  const std::int64_t most = std::max<std::int64_t>(1, max_tokens / kTokensOfLane);
  return device.is_cpu() ? static_cast<int>(std::min<std::int64_t>(most, at::get_num_threads())) : 1;
}

/// Adds up what each process found of its batches. A number is zero but in one of them, so nothing is
/// rounded; choices are sent as they are counted from one, since none is -1.
void join_shares(std::vector<std::vector<double>>& scores, std::vector<RowOutcome>& outcomes,
                 const EvaluationShare& share) {
  std::vector<double> all;
  const auto each_number = [&](auto visit) {
    for (auto& choices : scores)
      for (double& score : choices) visit(score);
    for (RowOutcome& outcome : outcomes) {
      for (std::int64_t* choice : {&outcome.truth, &outcome.predicted}) {
        double from_one = static_cast<double>(*choice + 1);
        visit(from_one);
        *choice = static_cast<std::int64_t>(from_one) - 1;
      }
      for (double* number : {&outcome.loss, &outcome.confidence, &outcome.value, &outcome.true_value})
        visit(*number);
    }
  };
  each_number([&](double& number) { all.push_back(number); });
  share.sum(all);
  auto next = all.begin();
  each_number([&](double& number) { number = *next++; });
}

}  // namespace

std::string loss_unit(Task task) {
  if (task == Task::regression) return "squared error/row";
  return task == Task::classification ? "nats/row" : "nats/token";
}

std::string described(Task task) {
  if (task == Task::language_model) return "a language model";
  return task == Task::classification ? "a classifier" : "a regressor";
}

Evaluation::Evaluation(const std::vector<EncodedRow>& rows, Task task, std::int32_t pad_id,
                       std::int64_t max_tokens)
    : task_(task), pad_id_(pad_id), max_tokens_(max_tokens) {
  for (const EncodedRow& row : rows) passes_.push_back({row, true, {}});
}

void Evaluation::add_questions(const std::vector<Question>& questions, const Tokenizer& tokenizer,
                               const EncodeOptions& options, std::size_t most) {
  EncodeOptions choice_options = options;
  choice_options.append_eos = false;
  const std::size_t first_own = passes_.size();
  std::map<std::int64_t, std::size_t> pass_of_line;
  for (std::size_t i = 0; i < first_own; ++i) pass_of_line[passes_[i].row.line] = i;
  for (const Question& question : questions) {
    if (questions_.size() == most) break;
    const auto measured = pass_of_line.find(question.line);
    for (std::size_t choice = 0; choice < question.choices.size(); ++choice) {
      const std::string& text = question.choices[choice];
      EncodedRow encoded = encode_prompt_completion({question.prompt, text}, tokenizer, choice_options);
      if (encoded.label_count() == 0)
        throw Error(ExitCode::data, cat("choice \"", printable(text), "\" leaves no token to score"));
      add_candidate({questions_.size(), choice, std::move(encoded.ids), std::move(encoded.labels)}, first_own,
                    measured == pass_of_line.end() ? nullptr : &passes_[measured->second]);
    }
    questions_.push_back(question);
    rows_.push_back(measured == pass_of_line.end() ? SIZE_MAX : measured->second);
  }
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

Batch Evaluation::batch_of(const std::vector<std::size_t>& numbers, at::Device device) const {
  std::vector<const EncodedRow*> rows;
  for (const std::size_t number : numbers) rows.push_back(&passes_[number].row);
  return to_device(make_batch(rows, pad_id_, task_), device);
}

void Evaluation::score(const Executable& executable, const std::vector<std::size_t>& numbers,
                       at::Device device, Scores& scores, std::vector<RowOutcome>& outcomes) const {
  const Batch batch = batch_of(numbers, device);
  if (batch.labelled == 0) return;
  const at::Tensor positions = batch.positions.to(at::kCPU), targets = batch.targets.to(at::kCPU);
  std::vector<std::int64_t> terms, ids;
  std::vector<std::pair<double*, double>> sums;  ///< what a log-likelihood is added to, and its sign
  for (std::int64_t term = 0; term < positions.size(0); ++term) {
    const std::int64_t flat = positions.const_data_ptr<std::int64_t>()[term];
    const auto next = static_cast<std::size_t>(flat % batch.time + 1);
    const auto want = [&](std::int64_t id, double* sum, double sign) {
      terms.push_back(term);
      ids.push_back(id);
      sums.emplace_back(sum, sign);
    };
    const std::size_t number = numbers[static_cast<std::size_t>(flat / batch.time)];
    const Pass& pass = passes_[number];
    if (pass.counts) want(targets.const_data_ptr<std::int64_t>()[term], &outcomes[number].loss, -1);
    for (const Candidate& candidate : pass.candidates) {
      if (next >= candidate.ids.size() || !is_labelled(candidate.labels[next])) continue;
      want(candidate.ids[next], &scores[candidate.question][candidate.choice], 1);
    }
  }
  const auto likelihoods = log_likelihoods(executable, batch, terms, ids);
  for (std::size_t i = 0; i < sums.size(); ++i) *sums[i].first += sums[i].second * likelihoods[i];
}

void Evaluation::classify(const Executable& executable, const std::vector<std::size_t>& numbers,
                          at::Device device, std::vector<RowOutcome>& outcomes) const {
  const Batch batch = batch_of(numbers, device);
  const at::Tensor likelihoods =
      executable.logits(batch.inputs).to(at::kFloat).log_softmax(1).to(at::kCPU, at::kDouble).contiguous();
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    const at::Tensor row = likelihoods[static_cast<std::int64_t>(i)];
    RowOutcome& outcome = outcomes[numbers[i]];
    outcome.truth = passes_[numbers[i]].row.target;
    outcome.loss = -row[outcome.truth].item<double>();
    outcome.predicted = row.argmax().item<std::int64_t>();
    outcome.confidence = std::exp(row[outcome.predicted].item<double>());
  }
}

void Evaluation::regress(const Executable& executable, const std::vector<std::size_t>& numbers,
                         at::Device device, std::vector<RowOutcome>& outcomes) const {
  const Batch batch = batch_of(numbers, device);
  const at::Tensor values = executable.logits(batch.inputs).to(at::kCPU, at::kDouble).squeeze(1).contiguous();
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    RowOutcome& outcome = outcomes[numbers[i]];
    outcome.true_value = passes_[numbers[i]].row.value;
    outcome.value = values.const_data_ptr<double>()[i];
    outcome.loss = (outcome.value - outcome.true_value) * (outcome.value - outcome.true_value);
  }
}

void Evaluation::choose(const Scores& scores, std::vector<RowOutcome>& outcomes) const {
  for (std::size_t i = 0; i < questions_.size(); ++i) {
    if (rows_[i] == SIZE_MAX) continue;
    RowOutcome& outcome = outcomes[rows_[i]];
    const std::vector<double>& choices = scores[i];
    const auto best = std::max_element(choices.begin(), choices.end());
    outcome.truth = questions_[i].right;
    outcome.predicted = best - choices.begin();
    double total = 0;
    std::vector<double> by_byte;
    for (std::size_t choice = 0; choice < choices.size(); ++choice) {
      total += std::exp(choices[choice] - *best);
      by_byte.push_back(choices[choice] / static_cast<double>(bytes_of(questions_[i].choices[choice])));
    }
    outcome.confidence = 1 / total;
    outcome.predicted_by_byte = std::max_element(by_byte.begin(), by_byte.end()) - by_byte.begin();
  }
}

void Evaluation::pass(const Executable& executable, const std::vector<std::size_t>& numbers,
                      at::Device device, Found& found) const {
  throw_if_stopped();
  try {
    switch (task_) {
      case Task::language_model:
        return score(executable, numbers, device, found.scores, found.outcomes);
      case Task::classification:
        return classify(executable, numbers, device, found.outcomes);
      case Task::regression:
        return regress(executable, numbers, device, found.outcomes);
    }
  } catch (const std::exception& error) {
    if (!is_out_of_memory(error)) throw;
    if (numbers.size() == 1) row_is_too_large(passes_[numbers.front()].row);
  }
  // Nothing of the batch was noted, since that comes last.
  const auto middle = numbers.begin() + static_cast<std::ptrdiff_t>(numbers.size() / 2);
  pass(executable, {numbers.begin(), middle}, device, found);
  pass(executable, {middle, numbers.end()}, device, found);
}

Evaluation::Found Evaluation::pass_all(const Executable& executable, at::Device device,
                                       const EvaluationShare& share) const {
  std::vector<EncodedRow> rows;
  for (const Pass& pass : passes_) rows.push_back(pass.row);
  Found found;
  for (const Question& question : questions_) found.scores.emplace_back(question.choices.size(), 0.0);
  found.outcomes.resize(passes_.size());
  Lanes lanes(count_lanes(device, max_tokens_), at::get_num_threads());
  const auto batches = evaluation_batches(rows, max_tokens_ / lanes.count());
  std::atomic<std::size_t> next = share.number;
  lanes.run([&](std::size_t) {
    for (std::size_t i; (i = next.fetch_add(share.count)) < batches.size();)
      pass(executable, batches[i], device, found);  // each writes to its own rows
  });
  if (share.count > 1) join_shares(found.scores, found.outcomes, share);
  return found;
}

Quality Evaluation::run(const Executable& executable, at::Device device, const EvaluationShare& share) const {
  const at::NoGradGuard no_grad;
  auto [scores, outcomes] = pass_all(executable, device, share);
  choose(scores, outcomes);
  Quality quality;
  quality.task = task_;
  double sum = 0;
  std::int64_t right = 0, asked = 0;
  for (std::size_t i = 0; i < passes_.size(); ++i) {
    if (!passes_[i].counts) continue;
    RowOutcome& outcome = outcomes[i];
    outcome.line = passes_[i].row.line;
    outcome.labelled = has_text_head(task_) ? 1 : passes_[i].row.label_count();
    ++quality.rows;
    quality.labelled += outcome.labelled;
    sum += outcome.loss;
    asked += outcome.predicted >= 0;
    right += outcome.predicted >= 0 && outcome.predicted == outcome.truth;
    quality.outcomes.push_back(outcome);
  }
  if (quality.labelled == 0) throw Error(ExitCode::data, "evaluation: no row has a labelled token");
  quality.loss = sum / static_cast<double>(quality.labelled);
  if (asked > 0) quality.accuracy = static_cast<double>(right) / static_cast<double>(asked);
  return quality;
}

}  // namespace lora
