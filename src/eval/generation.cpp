#include "eval/generation.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <numeric>

#include "lora/base/error.h"
#include "lora/base/text.h"

namespace lora {
namespace {

/// Takes rows that are done out of the batch.
void keep_unfinished(RowFeed& feed, std::vector<GeneratedRow*>& running) {
  std::vector<GeneratedRow*> left;
  std::vector<std::int64_t> places;
  for (std::size_t i = 0; i < running.size(); ++i) {
    if (running[i]->finished) continue;
    left.push_back(running[i]);
    places.push_back(static_cast<std::int64_t>(i));
  }
  if (!left.empty() && left.size() < running.size()) feed.select(places);
  running = std::move(left);
}

std::vector<TokenIds> take_unfed(const std::vector<GeneratedRow*>& rows) {
  std::vector<TokenIds> added;
  for (GeneratedRow* row : rows) {
    added.emplace_back(row->ids.begin() + static_cast<std::ptrdiff_t>(row->fed), row->ids.end());
    row->fed = row->ids.size();
  }
  return added;
}

}  // namespace

void check_finite(const at::Tensor& logits, const std::vector<const GeneratedRow*>& rows) {
  const at::Tensor finite = logits.logsumexp(1).isfinite();
  if (finite.all().item<bool>()) return;
  const std::int64_t first = finite.logical_not().nonzero()[0].item<std::int64_t>();
  const GeneratedRow& row =
      *rows[static_cast<std::size_t>(first) * rows.size() / static_cast<std::size_t>(logits.size(0))];
  throw Error(ExitCode::diverged,
              cat(row.writer, " predicts NaN or Inf after ", row.ids.size(), " tokens of prompt and answer"),
              "its training diverged, or its numbers overflow: leave it out");
}

std::int64_t GenerationOptions::room(const GeneratedRow& row) const {
  const std::int64_t left = max_new_tokens - static_cast<std::int64_t>(row.ids.size() - row.prompt);
  if (context_length == 0) return left;
  return std::min(left, context_length - static_cast<std::int64_t>(row.ids.size()));
}

void generate_rows(RowFeed& feed, std::vector<GeneratedRow>& rows, const GenerationOptions& options,
                   const std::function<void(const GeneratedRow&)>& on_token) {
  const at::NoGradGuard no_grad;
  std::vector<GeneratedRow*> running;
  for (GeneratedRow& row : rows) {
    row.finished = row.finished || options.room(row) <= 0;
    running.push_back(&row);
  }
  for (keep_unfinished(feed, running); !running.empty(); keep_unfinished(feed, running)) {
    const at::Tensor logits = feed.feed(take_unfed(running));
    check_finite(logits, {running.begin(), running.end()});
    for (std::size_t i = 0; i < running.size(); ++i) {
      GeneratedRow& row = *running[i];
      const at::Tensor scores = logits[static_cast<std::int64_t>(i)];
      penalise_repetition(scores, row.ids, options.sampling);
      const std::int32_t next =
          choose_token(scores, options.sampling, row.number, row.ids.size() - row.prompt);
      row.finished = options.stop.count(next) > 0;
      if (row.finished) continue;
      row.ids.push_back(next);
      row.finished = options.room(row) <= 0 || (options.ends && options.ends(row.answer()));
      if (on_token) on_token(row);
    }
  }
}

std::vector<std::vector<std::size_t>> batches_by_length(const std::vector<std::size_t>& lengths,
                                                        std::size_t size) {
  std::vector<std::size_t> order(lengths.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return lengths[a] < lengths[b]; });
  std::vector<std::vector<std::size_t>> batches;
  for (const std::size_t row : order) {
    if (batches.empty() || batches.back().size() == size) batches.emplace_back();
    batches.back().push_back(row);
  }
  return batches;
}

}  // namespace lora
