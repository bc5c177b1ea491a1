#include "eval/generation.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>

namespace lora {

std::int64_t GenerationOptions::room(const GeneratedRow& row) const {
  const std::int64_t left = max_new_tokens - static_cast<std::int64_t>(row.ids.size() - row.prompt);
  if (context_length == 0) return left;
  return std::min(left, context_length - static_cast<std::int64_t>(row.ids.size()));
}

void generate_rows(RowFeed& feed, std::vector<GeneratedRow>& rows, const GenerationOptions& options,
                   const std::function<void(const GeneratedRow&)>& on_token) {
  const at::NoGradGuard no_grad;
  std::vector<TokenIds> added;
  for (GeneratedRow& row : rows) {
    row.finished = row.finished || options.room(row) <= 0;
    added.emplace_back(row.ids.begin() + static_cast<std::ptrdiff_t>(row.fed), row.ids.end());
  }
  while (!std::all_of(rows.begin(), rows.end(), [](const GeneratedRow& row) { return row.finished; })) {
    const at::Tensor logits = feed.feed(added);
    for (std::size_t i = 0; i < rows.size(); ++i) rows[i].fed += added[i].size();
    added.assign(rows.size(), {});
    for (std::size_t i = 0; i < rows.size(); ++i) {
      GeneratedRow& row = rows[i];
      if (row.finished) continue;
      const at::Tensor scores = logits[static_cast<std::int64_t>(i)];
      penalise_repetition(scores, row.ids, options.sampling);
      const std::int32_t next =
          choose_token(scores, options.sampling, row.number, row.ids.size() - row.prompt);
      row.finished = options.stop.count(next) > 0;
      if (row.finished) continue;
      row.ids.push_back(next);
      added[i] = {next};
      row.finished = options.room(row) <= 0 || (options.ends && options.ends(row.answer()));
      if (on_token) on_token(row);
    }
  }
}

}  // namespace lora
