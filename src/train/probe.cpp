#include "train/probe.h"

#include <algorithm>

#include "lora/base/process.h"
#include "train/memory_meter.h"
#include "train/step.h"

namespace lora {
namespace {

std::size_t longest_row(const Session& session, const std::vector<std::size_t>& rows) {
  return *std::max_element(rows.begin(), rows.end(), [&](std::size_t a, std::size_t b) {
    return session.rows.rows[a].ids.size() < session.rows.rows[b].ids.size();
  });
}

}  // namespace

std::vector<std::size_t> largest_micro_batch(const Session& session, const Sampler& sampler) {
  std::vector<std::size_t> largest;
  std::size_t most = 0;
  for (std::int64_t number = 0; number < sampler.updates_per_epoch(); ++number) {
    for (auto& rows : sampler.update(number).micro_batches) {
      const std::size_t size = rows.size() * session.rows.rows[longest_row(session, rows)].ids.size();
      if (size <= most) continue;
      most = size;
      largest = std::move(rows);
    }
  }
  return largest;
}

Probe measure_pass(const Session& session, Trainee& trainee, const std::vector<std::size_t>& rows, bool warm_up) {
  const Batch batch = micro_batch(session, rows);
  trainee.set_training(true);
  if (warm_up) accumulate(trainee.executable(), batch, session.classification());
  const MemoryMeter meter;
  const double start = monotonic_seconds();
  accumulate(trainee.executable(), batch, session.classification());
  const double seconds = monotonic_seconds() - start;
  trainee.set_training(false);
  trainee.optimizer().zero_grad();
  return {batch.rows, batch.time, seconds, meter.peak_bytes()};
}

Probe estimate_pass(const Session& session, Trainee& trainee, const std::vector<std::size_t>& rows) {
  const std::size_t longest = longest_row(session, rows);
  Probe probe = measure_pass(session, trainee, {longest}, false);
  if (rows.size() == 1) return probe;
  const Probe two = measure_pass(session, trainee, {longest, longest}, false);
  const std::uint64_t per_row = two.peak_bytes > probe.peak_bytes ? two.peak_bytes - probe.peak_bytes : 0;
  const std::size_t further = rows.size() - 1;
  probe.rows += static_cast<std::int64_t>(further);
  probe.peak_bytes += per_row * further;
  probe.seconds += std::max(0.0, two.seconds - probe.seconds) * static_cast<double>(further);
  return probe;
}

}  // namespace lora
