#include "eval/answers.h"

#include <utility>

#include "lora/base/error.h"
#include "lora/base/text.h"

namespace lora {
namespace {

constexpr std::size_t kRowsAtOnce = 8;

}  // namespace

Answers::Answers(std::vector<Prompt> prompts, std::int64_t max_new_tokens, const LoadedModel& base)
    : base_(base), prompts_(std::move(prompts)) {
  options_.max_new_tokens = max_new_tokens;
  options_.context_length = base.program.info().context_length;
  options_.stop = base.end_ids();
  for (std::size_t i = 0; i < prompts_.size(); ++i) {
    ids_.push_back(encode_prompt(prompts_[i], base));
    if (ids_.back().empty())
      throw Error(ExitCode::data, cat("prompt ", i + 1, " has no token"), "give at least one word");
  }
}

std::vector<std::string> Answers::by(const Variant& variant) const {
  std::vector<std::string> texts(ids_.size());
  std::vector<std::size_t> lengths;
  for (const TokenIds& ids : ids_) lengths.push_back(ids.size());
  for (const auto& numbers : batches_by_length(lengths, kRowsAtOnce)) {
    std::vector<GeneratedRow> rows;
    for (const std::size_t number : numbers) rows.push_back({ids_[number], ids_[number].size()});
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
