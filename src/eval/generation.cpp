#include "eval/generation.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>

namespace lora {
namespace {

/// Logits [rows, vocabulary] after each row's last token.
at::Tensor last_logits(const Executable& executable, at::Device device, const std::vector<GeneratedRow>& rows,
                       std::int32_t pad) {
  std::size_t time = 0;
  for (const GeneratedRow& row : rows) time = std::max(time, row.ids.size());
  const auto batch = static_cast<std::int64_t>(rows.size()), longest = static_cast<std::int64_t>(time);
  at::Tensor ids = at::full({batch, longest}, pad, at::kLong), mask = at::zeros({batch, longest}, at::kLong);
  at::Tensor last = at::empty({batch}, at::kLong);
  auto id = ids.accessor<std::int64_t, 2>(), seen = mask.accessor<std::int64_t, 2>();
  auto position = last.accessor<std::int64_t, 1>();
  for (std::int64_t b = 0; b < batch; ++b) {
    const TokenIds& row = rows[static_cast<std::size_t>(b)].ids;
    for (std::size_t t = 0; t < row.size(); ++t) {
      id[b][static_cast<std::int64_t>(t)] = row[t];
      seen[b][static_cast<std::int64_t>(t)] = 1;
    }
    position[b] = b * longest + static_cast<std::int64_t>(row.size()) - 1;
  }
  return executable.logits_at({ids.to(device), mask.to(device), {}}, last.to(device));
}

bool is_at_limit(const GeneratedRow& row, const GenerationOptions& options) {
  const bool is_full =
      options.context_length > 0 && static_cast<std::int64_t>(row.ids.size()) >= options.context_length;
  return is_full || static_cast<std::int64_t>(row.ids.size() - row.prompt) >= options.max_new_tokens;
}

}  // namespace

void generate_rows(const Executable& executable, at::Device device, std::vector<GeneratedRow>& rows,
                   const GenerationOptions& options) {
  const at::NoGradGuard no_grad;
  const auto is_finished = [](const GeneratedRow& row) { return row.finished; };
  for (GeneratedRow& row : rows) row.finished = row.finished || is_at_limit(row, options);
  while (!std::all_of(rows.begin(), rows.end(), is_finished)) {
    const at::Tensor logits = last_logits(executable, device, rows, options.pad);
    for (std::size_t i = 0; i < rows.size(); ++i) {
      GeneratedRow& row = rows[i];
      if (row.finished) continue;
      const std::uint64_t step = row.ids.size() - row.prompt;
      const std::int32_t next =
          choose_token(logits[static_cast<std::int64_t>(i)], options.sampling, row.number, step);
      row.finished = options.stop.count(next) > 0;
      if (!row.finished) row.ids.push_back(next);
      row.finished |= is_at_limit(row, options);
    }
  }
}

}  // namespace lora
