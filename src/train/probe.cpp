#include "train/probe.h"

#include <ATen/core/grad_mode.h>

#include <algorithm>

#include "lora/base/process.h"
#include "train/loss_gradient.h"
#include "train/memory_meter.h"

namespace lora {
namespace {

std::int64_t length(const EncodedRow& row) { return static_cast<std::int64_t>(row.ids.size()); }

std::size_t longest_row(const std::vector<EncodedRow>& rows, const std::vector<std::size_t>& numbers) {
  return *std::max_element(numbers.begin(), numbers.end(),
                           [&](std::size_t a, std::size_t b) { return length(rows[a]) < length(rows[b]); });
}

/// Positions that a micro-batch computes.
std::int64_t positions(const std::vector<EncodedRow>& rows, const std::vector<std::size_t>& numbers,
                       Layout layout) {
  if (numbers.empty()) return 0;
  std::int64_t sum = 0;
  for (const std::size_t number : numbers) sum += length(rows[number]);
  const std::int64_t padded =
      length(rows[longest_row(rows, numbers)]) * static_cast<std::int64_t>(numbers.size());
  return layout == Layout::packed ? sum : padded;
}

}  // namespace

std::vector<std::size_t> largest_micro_batch(const Session& session, const Sampler& sampler, int lanes) {
  std::vector<std::size_t> largest;
  std::int64_t most = 0;
  for (std::int64_t number = 0; number < sampler.updates_per_epoch(); ++number) {
    for (Update& lane : sampler.lanes(number, session.share(), static_cast<std::size_t>(lanes))) {
      for (auto& rows : lane.micro_batches) {
        const std::int64_t size = positions(session.rows.rows, rows, sampler.layout());
        if (size <= most) continue;
        most = size;
        largest = std::move(rows);
      }
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

/// Time and memory of so many positions, from passes over one and over two samples.
Probe extrapolated(const Probe& one, const Probe& two, std::int64_t size) {
  const std::int64_t one_size = one.rows * one.time, two_size = two.rows * two.time;
  const double further = static_cast<double>(size - one_size) / static_cast<double>(two_size - one_size);
  const auto at_size = [&](double small, double large) {
    return small + std::max(0.0, large - small) * further;
  };
  Probe probe = one;
  probe.peak_bytes = static_cast<std::uint64_t>(
      std::max(0.0, at_size(static_cast<double>(one.peak_bytes), static_cast<double>(two.peak_bytes))));
  probe.seconds = at_size(one.seconds, two.seconds);
  return probe;
}

Probe measure(Trainee& trainee, const Batch& batch, const Objective& objective) {
  const MemoryMeter meter;
  const double start = monotonic_seconds();
  GradientSum gradients;
  add_loss_gradient(trainee.executable(), batch, objective, gradients);
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
  const EncodedRow sample = sample_of(session, session.rows.rows[longest_row(session.rows.rows, rows)]);
  const auto pass = [&](const std::vector<const EncodedRow*>& some) {
    return measure(trainee, micro_batch(session, some, layout), objective_of(session));
  };
  trainee.set_training(true);
  const Probe one = pass({&sample}), two = pass({&sample, &sample});
  trainee.set_training(false);
  trainee.optimizer().zero_grad();
  Probe probe = extrapolated(one, two, positions(session.rows.rows, rows, layout));
  probe.rows = layout == Layout::packed ? 1 : static_cast<std::int64_t>(rows.size());
  probe.time = positions(session.rows.rows, rows, layout) / probe.rows;
  return probe;
}

std::uint64_t validation_bytes(const Session& session, Trainee& trainee) {
  const at::NoGradGuard no_grad;
  const auto& valid = session.valid.rows;
  std::vector<std::size_t> largest;
  for (auto& rows : evaluation_batches(valid, session.config.batch_tokens)) {
    if (positions(valid, rows, Layout::padded) > positions(valid, largest, Layout::padded))
      largest = std::move(rows);
  }
  const EncodedRow sample = sample_of(session, valid[longest_row(valid, largest)]);
  const auto pass = [&](const std::vector<const EncodedRow*>& some) {
    const Batch batch = micro_batch(session, some, Layout::padded);
    const MemoryMeter meter;
    const Executable& executable = trainee.executable();
    if (has_text_head(session.task()))
      executable.logits(batch.inputs);
    else if (executable.splits_at_head())
      executable.before_head(batch.inputs, batch.positions);
    else
      executable.logits_at(batch.inputs, batch.positions);
    return Probe{batch.rows, batch.time, 0, meter.peak_bytes()};
  };
  return extrapolated(pass({&sample}), pass({&sample, &sample}), positions(valid, largest, Layout::padded))
      .peak_bytes;
}

}  // namespace lora
