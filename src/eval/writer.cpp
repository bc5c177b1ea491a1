#include "eval/writer.h"

#include <algorithm>

#include "lora/base/error.h"
#include "lora/base/log.h"
#include "lora/base/text.h"
#include "lora/checkpoint/adapter_folder.h"
#include "lora/eval/evaluate.h"

namespace lora {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  ///< U+FFFD: what half a character is decoded to

LoadedModel load_language_model(const ModelConfig& config) {
  LoadedModel model = load_model(config, DataSet{"a prompt", {}, {{0, PlainText{}}}});
  if (model.program.info().task == Task::language_model) return model;
  throw Error(ExitCode::usage,
              cat(config.path, " is ", described(model.program.info().task), ", which writes no text"),
              "lora-eval compare measures it");
}

/// usage error for what shapes the draws where nothing is drawn.
void check_draws(const SamplingConfig& sampling) {
  std::vector<std::string> drawn;
  if (sampling.top_k > 0) drawn.emplace_back("--top-k");
  if (sampling.top_p < 1) drawn.emplace_back("--top-p");
  if (sampling.min_p > 0) drawn.emplace_back("--min-p");
  if (sampling.temperature > 0 || drawn.empty()) return;
  throw Error(ExitCode::usage,
              cat(join(drawn, ", "), ": at temperature 0 the likeliest token is taken, nothing is drawn"),
              "give a --temperature above 0");
}

/// Rows of different adapters.
class RoutedFeed : public RowFeed {
 public:
  RoutedFeed(std::unique_ptr<RowFeed> feed, AdapterSet& set, std::vector<std::string> adapters)
      : feed_(std::move(feed)), set_(set), adapters_(std::move(adapters)) {
    route();
  }

  at::Tensor feed(const std::vector<TokenIds>& added) override { return feed_->feed(added); }

  void select(const std::vector<std::int64_t>& rows) override {
    feed_->select(rows);
    std::vector<std::string> chosen;
    for (const std::int64_t row : rows) chosen.push_back(adapters_[static_cast<std::size_t>(row)]);
    if (chosen == adapters_) return;
    adapters_ = std::move(chosen);
    route();
  }

 private:
  void route() {
    const bool same = std::all_of(adapters_.begin(), adapters_.end(),
                                  [&](const std::string& name) { return name == adapters_[0]; });
    same ? set_.use(adapters_[0]) : set_.use_rows(adapters_);
  }

  std::unique_ptr<RowFeed> feed_;
  AdapterSet& set_;
  std::vector<std::string> adapters_;  ///< of each row
};

}  // namespace

Writer::Writer(const ModelConfig& model, const std::vector<std::string>& adapters,
               const SamplingConfig& sampling, bool recompute)
    : model_((check_draws(sampling), load_language_model(model))),
      adapters_(std::make_unique<AdapterSet>(model_.program)) {
  for (const std::string& text : sampling.stop) stop_at(text);
  for (const std::string& entry : adapters) add_adapter(entry);
  options_.sampling = {sampling.temperature,
                       sampling.top_k,
                       sampling.top_p,
                       sampling.min_p,
                       sampling.repetition_penalty,
                       sampling.no_repeat_ngram,
                       static_cast<std::uint64_t>(sampling.seed)};
  options_.max_new_tokens = sampling.max_new_tokens;
  options_.context_length = model_.program.info().context_length;
  options_.stop = model_.end_ids();
  if (!recompute) cached_ = model_.program.cached_executable(adapters_->hooks());
  if (cached_) return;
  whole_.emplace(model_.program.executable(adapters_->hooks()));
  if (!recompute)
    log_info("generate", "the model file offers no cache of keys and values: every step runs its rows whole");
}

void Writer::stop_at(const std::string& text) {
  if (text.empty()) return;
  stop_.push_back(text);
  options_.ends = [this](const TokenIds& answer) {
    const std::string so_far = model_.tokenizer->decode(answer);
    return std::any_of(stop_.begin(), stop_.end(),
                       [&](const std::string& stop) { return so_far.find(stop) != std::string::npos; });
  };
}

void Writer::add_adapter(const std::string& entry) {
  const auto equals = entry.find('=');
  if (equals == std::string::npos || equals == 0 || equals + 1 == entry.size()) {
    throw Error(ExitCode::usage, cat("--adapter \"", printable(entry), "\": expected NAME=DIR"),
                "for example --adapter mine=runs/first/adapter");
  }
  const AdapterFolder folder = read_adapter_folder(entry.substr(equals + 1));
  model_.check_tokenizer(cat("adapter ", printable(entry)), folder.provenance.tokenizer_hash);
  adapters_->add(entry.substr(0, equals), fit_adapter(folder, model_.program));
}

std::unique_ptr<RowFeed> Writer::feed() const {
  const at::Device device = model_.program.device();
  return cached_ ? cached_feed(*cached_, device, model_.pad_id())
                 : recomputing_feed(*whole_, device, model_.pad_id());
}

std::unique_ptr<RowFeed> Writer::feed(std::vector<std::string> adapters) {
  return std::make_unique<RoutedFeed>(feed(), *adapters_, std::move(adapters));
}

std::string Writer::text(const TokenIds& answer) const {
  std::string text = model_.tokenizer->decode(answer);
  std::size_t end = text.size();
  for (const std::string& stop : stop_) end = std::min(end, text.find(stop));
  text.resize(end);
  return text;
}

std::string Writer::settled_text(const TokenIds& answer) const {
  std::string text = this->text(answer);
  while (text.ends_with(kReplacement)) text.resize(text.size() - kReplacement.size());
  std::size_t end = text.size();
  for (const std::string& stop : stop_) {
    for (std::size_t size = std::min(stop.size(), text.size()); size > 0; --size) {
      if (!text.ends_with(stop.substr(0, size))) continue;
      end = std::min(end, text.size() - size);
      break;
    }
  }
  text.resize(end);
  return text;
}

}  // namespace lora
