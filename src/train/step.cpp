#include "train/step.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "lora/base/error.h"
#include "lora/base/log.h"
#include "train/boundary_store.h"
#include "train/loss_gradient.h"
#include "train/profile.h"

namespace lora {

namespace {

/// Loss and gradient of the whole update, not yet divided.
StepResult accumulate(const Session& session, Trainee& trainee, const Update& update, Layout layout,
                      Profile* profile) {
  StepResult result;
  Objective objective = objective_of(session);
  objective.scale = trainee.loss_scale().value();
  trainee.optimizer().zero_grad();
  for (const auto& rows : update.micro_batches) {
    Batch batch = profiled(profile, Phase::data, [&] { return micro_batch(session, rows, layout); });
    result.tokens += batch.real_tokens;
    result.longest = std::max(result.longest, batch.time);
    if (batch.labelled == 0) continue;
    result.positions += batch.rows * batch.time;
    result.labelled += batch.labelled;
    if (trainee.boundary_store())
      profiled(profile, Phase::forward, [&] { trainee.boundary_store()->attach(batch, rows); });
    result.loss_sum += add_loss_gradient(trainee.executable(), batch, objective, profile);
  }
  return result;
}

/// The update as all ranks together did it, but for the gradients.
void add_up(Ranks& ranks, StepResult& result) {
  const auto number = [](std::int64_t count) { return static_cast<double>(count); };
  const auto all = ranks.gather({result.loss_sum, number(result.tokens), number(result.positions),
                                 number(result.labelled), number(result.longest)});
  Ranks::Numbers sums{};
  for (const Ranks::Numbers& theirs : all) {
    for (std::size_t i = 0; i < sums.size(); ++i) sums[i] += theirs[i];
    result.longest = std::max(result.longest, static_cast<std::int64_t>(theirs[4]));
  }
  const auto count = [](double sum) { return static_cast<std::int64_t>(sum); };
  result.loss_sum = sums[0];
  result.tokens = count(sums[1]);
  result.positions = count(sums[2]);
  result.labelled = count(sums[3]);
}

void sum_gradients(Ranks& ranks, const at::Tensor& gradients) {
  if (ranks.count() == 1) return;
  const at::Tensor host = gradients.cpu();  // itself, unless it is on another device
  ranks.sum({host.mutable_data_ptr<float>(), static_cast<std::size_t>(host.numel())});
  if (!host.is_same(gradients)) gradients.copy_(host);
}

bool can_be_split(const Update& update, std::int64_t parts) {
  return std::any_of(update.micro_batches.begin(), update.micro_batches.end(),
                     [&](const auto& rows) { return static_cast<std::int64_t>(rows.size()) > parts; });
}

/// accumulate() in as many parts as memory needs; the random generator starts each attempt as it was.
StepResult accumulate_in_parts(const Session& session, Trainee& trainee, const Update& update, Layout layout,
                               std::int64_t& parts, Profile* profile) {
  at::Generator generator = at::globalContext().defaultGenerator(session.model.program.device());
  const at::Tensor random_state = generator.get_state();
  for (;;) {
    try {
      return accumulate(session, trainee, split(update, parts), layout, profile);
    } catch (const Error& error) {
      if (error.code() != ExitCode::memory) throw;
      generator.set_state(random_state);
      if (!can_be_split(update, parts))
        throw Error(ExitCode::memory, error.what(),
                    "a single row is too much: lower --max-length, or close other programs");
      log_warn("train", error.what(), "; micro-batches are halved, updates stay the same");
    }
    parts *= 2;
  }
}

}  // namespace

Update split(const Update& update, std::int64_t parts) {
  Update result;
  for (const auto& rows : update.micro_batches) {
    const std::size_t count = std::min(rows.size(), static_cast<std::size_t>(parts));
    for (std::size_t part = 0; part < count; ++part) {
      const auto begin = static_cast<std::ptrdiff_t>(rows.size() * part / count),
                 end = static_cast<std::ptrdiff_t>(rows.size() * (part + 1) / count);
      result.micro_batches.emplace_back(rows.begin() + begin, rows.begin() + end);
    }
  }
  return result;
}

StepResult run_step(const Session& session, Trainee& trainee, const Update& update, Layout layout,
                    double learning_rate, std::int64_t& parts, Profile* profile) {
  trainee.set_training(true);
  StepResult result = accumulate_in_parts(session, trainee, update, layout, parts, profile);
  trainee.set_training(false);
  profiled(profile, Phase::exchange, [&] { add_up(session.ranks, result); });
  if (result.labelled == 0)  // encoding drops rows without labels
    throw Error(ExitCode::internal, "an update has no labelled token, so that it would train nothing");
  result.finite = std::isfinite(result.loss_sum);
  if (!result.finite) return result;
  profiled(profile, Phase::exchange,
           [&] { sum_gradients(session.ranks, trainee.optimizer().flat_gradients()); });
  const Profile::Scope scope(profile, Phase::optimizer);
  const double divisor = static_cast<double>(result.labelled) * trainee.loss_scale().value();
  result.gradient_norm = trainee.optimizer().scale_and_clip(1.0 / divisor, session.config.clip);
  result.finite = std::isfinite(result.gradient_norm);
  result.overflowed = trainee.loss_scale().adapt(result.finite);
  if (result.finite) trainee.optimizer().step(learning_rate);
  return result;
}

}  // namespace lora
