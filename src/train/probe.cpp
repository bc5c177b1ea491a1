#include "train/probe.h"

#include <algorithm>

#include "lora/base/process.h"
#include "train/loss_gradient.h"
#include "train/memory_meter.h"

namespace lora {
namespace {

std::int64_t length(const Session& session, std::size_t row) {
  return static_cast<std::int64_t>(session.rows.rows[row].ids.size());
}

std::size_t longest_row(const Session& session, const std::vector<std::size_t>& rows) {
  return *std::max_element(rows.begin(), rows.end(), [&](std::size_t a, std::size_t b) {
    return length(session, a) < length(session, b);
  });
}

/// Positions that a micro-batch computes.
std::int64_t positions(const Session& session, const std::vector<std::size_t>& rows, Layout layout) {
  std::int64_t sum = 0;
  for (const std::size_t row : rows) sum += length(session, row);
  const std::int64_t padded =
      length(session, longest_row(session, rows)) * static_cast<std::int64_t>(rows.size());
  return layout == Layout::packed ? sum : padded;
}

}  // namespace

std::vector<std::size_t> largest_micro_batch(const Session& session, const Sampler& sampler) {
  std::vector<std::size_t> largest;
  std::int64_t most = 0;
  for (std::int64_t number = 0; number < sampler.updates_per_epoch(); ++number) {
    for (auto& rows : sampler.update(number, session.share()).micro_batches) {
      const std::int64_t size = positions(session, rows, sampler.layout());
      if (size <= most) continue;
      most = size;
      largest = std::move(rows);
    }
  }
  return largest;
}

namespace {

/// Tokens of a row that tell what a token costs, where attention keeps no scores.
constexpr std::int64_t kEnoughTokens = 64;

/// The row's end, where its labels are; the whole row if memory grows faster than its length.
EncodedRow sample_of(const Session& session, const EncodedRow& row) {
  const auto& rewrites = session.model.program.rewrites();
  const bool linear = std::any_of(rewrites.begin(), rewrites.end(), [](const RewriteCount& each) {
    return each.name == "attention" && each.plain == 0;
  });
  if (!linear || static_cast<std::int64_t>(row.ids.size()) <= kEnoughTokens) return row;
  EncodedRow end = row;
  const auto keep_end = [](auto& values) {
    if (!values.empty()) values.erase(values.begin(), values.end() - kEnoughTokens);
  };
  keep_end(end.ids);
  keep_end(end.labels);
  keep_end(end.types);
  return has_text_head(session.task()) || end.label_count() > 1 ? end : row;
}

Probe measure(Trainee& trainee, const Batch& batch, const Objective& objective) {
  const MemoryMeter meter;
  const double start = monotonic_seconds();
  add_loss_gradient(trainee.executable(), batch, objective);
  return {batch.rows, batch.time, monotonic_seconds() - start, meter.peak_bytes()};
}

}  // namespace

Probe measure_pass(const Session& session, Trainee& trainee, const std::vector<std::size_t>& rows,
                   Layout layout) {
  const Batch batch = micro_batch(session, rows, layout);
  trainee.set_training(true);
  measure(trainee, batch, objective_of(session));  // only the second tells the usual time
  const Probe probe = measure(trainee, batch, objective_of(session));
  trainee.set_training(false);
  trainee.optimizer().zero_grad();
  return probe;
}

Probe estimate_pass(const Session& session, Trainee& trainee, const std::vector<std::size_t>& rows,
                    Layout layout) {
  const EncodedRow sample = sample_of(session, session.rows.rows[longest_row(session, rows)]);
  const auto pass = [&](const std::vector<const EncodedRow*>& some) {
    return measure(trainee, micro_batch(session, some, layout), objective_of(session));
  };
  trainee.set_training(true);
  Probe probe = pass({&sample});
  const Probe two = pass({&sample, &sample});
  trainee.set_training(false);
  trainee.optimizer().zero_grad();
  const std::int64_t one_size = probe.rows * probe.time, two_size = two.rows * two.time;
  const std::int64_t size = positions(session, rows, layout);
  const double further = static_cast<double>(size - one_size) / static_cast<double>(two_size - one_size);
  const auto growth = [&](double one, double both) { return std::max(0.0, both - one) * further; };
  probe.rows = layout == Layout::packed ? 1 : static_cast<std::int64_t>(rows.size());
  probe.time = size / probe.rows;
  probe.peak_bytes += static_cast<std::uint64_t>(
      growth(static_cast<double>(probe.peak_bytes), static_cast<double>(two.peak_bytes)));
  probe.seconds += growth(probe.seconds, two.seconds);
  return probe;
}

}  // namespace lora
