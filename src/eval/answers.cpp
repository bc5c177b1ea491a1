#include "eval/answers.h"

#include <algorithm>
#include <utility>

#include "lora/base/error.h"
#include "lora/base/text.h"
#include "lora/eval/evaluate.h"

namespace lora {
namespace {

constexpr std::size_t kRowsAtOnce = 8;

/// Prompts of the data, for the report.
std::vector<Prompt> example_prompts(const DataSet& data, std::int64_t most) {
  std::vector<Prompt> prompts;
  for (const Example& example : data.examples) {
    if (static_cast<std::int64_t>(prompts.size()) == most) break;
    auto prompt = prompt_of(example.content);
    if (!prompt) continue;
    prompt->place = data.place(example.line);
    prompts.push_back(std::move(*prompt));
  }
  return prompts;
}

/// The first rows for --metrics. data error for one without references.
std::vector<Prompt> scored_prompts(const CompareConfig& config) {
  ReadOptions options = read_options(config.data);
  const std::int64_t most = config.generate_rows;
  if (most > 0) options.limit = options.limit > 0 ? std::min(options.limit, most) : most;
  std::vector<Prompt> prompts = read_prompt_rows(config.data.path, options);
  for (const Prompt& prompt : prompts) {
    if (prompt.references.empty())
      throw Error(
          ExitCode::data, cat(prompt.place, ": --metrics has nothing to compare its answer with"),
          "give each row \"completion\", \"references\": [\"...\"] or an assistant's message at the end");
  }
  return prompts;
}

}  // namespace

std::vector<Prompt> prompts_to_answer(const CompareConfig& config, const DataSet& data, Task task) {
  if (has_text_head(task)) {
    if (config.metrics.empty()) return {};
    throw Error(ExitCode::usage,
                cat("--metrics measures texts, and the model is ", described(task), ", which writes none"));
  }
  if (!config.metrics.empty()) return scored_prompts(config);
  return config.report.empty() ? std::vector<Prompt>() : example_prompts(data, config.examples);
}

Answers::Answers(std::vector<Prompt> prompts, std::int64_t max_new_tokens, const LoadedModel& base)
    : base_(base), prompts_(std::move(prompts)) {
  options_.max_new_tokens = max_new_tokens;
  options_.context_length = base.program.info().context_length;
  options_.stop = base.end_ids();
  ids_ = encode_prompts(prompts_, base, max_new_tokens);
}

std::vector<std::string> Answers::by(const Variant& variant) const {
  std::vector<std::string> texts(ids_.size());
  std::vector<std::size_t> lengths;
  for (const TokenIds& ids : ids_) lengths.push_back(ids.size());
  for (const auto& numbers : batches_by_length(lengths, kRowsAtOnce)) {
    std::vector<GeneratedRow> rows;
    for (const std::size_t number : numbers) {
      rows.push_back({ids_[number], ids_[number].size()});
      rows.back().writer = cat("variant \"", printable(variant.spec().name), "\"");
    }
    variant.write(base_.pad_id(), [&](RowFeed& feed) { generate_rows(feed, rows, options_); });
    for (std::size_t i = 0; i < rows.size(); ++i)
      texts[numbers[i]] = base_.tokenizer->decode(rows[i].answer());
  }
  return texts;
}

std::vector<ScoredText> Answers::beside_references(const std::vector<std::string>& texts) const {
  std::vector<ScoredText> scored;
  for (std::size_t i = 0; i < texts.size(); ++i) scored.push_back({texts[i], prompts_[i].references});
  return scored;
}

}  // namespace lora
