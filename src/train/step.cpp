#include "train/step.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "adapter/dropout.h"
#include "lora/base/error.h"
#include "lora/base/log.h"
#include "lora/base/random.h"
#include "train/boundary_store.h"
#include "train/loss_gradient.h"
#include "train/profile.h"

namespace lora {

namespace {

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

bool can_be_split(const std::vector<Update>& lanes, std::int64_t parts) {
  return std::any_of(lanes.begin(), lanes.end(), [&](const Update& lane) {
    return std::any_of(lane.micro_batches.begin(), lane.micro_batches.end(),
                       [&](const auto& rows) { return static_cast<std::int64_t>(rows.size()) > parts; });
  });
}

/// Dropout of an update is a function of seed, rank, lane and number, so that there is no state to keep.
std::uint64_t dropout_seed(const Session& session, std::int64_t number, std::size_t lane) {
  const auto seed = static_cast<std::uint64_t>(session.config.seed),
             rank = static_cast<std::uint64_t>(session.ranks.rank());
  return CounterRandom(seed, std::uint64_t{lane} << 32 | rank).bits(static_cast<std::uint64_t>(number));
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

Stepper::Stepper(const Session& session, Trainee& trainee, Layout layout, int lanes, Profile* profile)
    : session_(session),
      trainee_(trainee),
      layout_(layout),
      profile_(profile),
      gradients_(1),
      lanes_(lanes, session.threads) {
  for (int lane = 1; lane < lanes; ++lane) gradients_.emplace_back(trainee.optimizer());
}

/// Loss and gradient of one lane's rows, not yet divided.
StepResult Stepper::accumulate_lane(const Update& rows, GradientSum& gradients, Profile* profile) const {
  StepResult result;
  Objective objective = objective_of(session_);
  objective.scale = trainee_.loss_scale().value();
  gradients.zero();
  for (const auto& some : rows.micro_batches) {
    Batch batch = profiled(profile, Phase::data, [&] { return micro_batch(session_, some, layout_); });
    result.tokens += batch.real_tokens;
    result.longest = std::max(result.longest, batch.time);
    if (batch.labelled == 0) continue;
    result.positions += batch.rows * batch.time;
    result.labelled += batch.labelled;
    if (trainee_.boundary_store())
      profiled(profile, Phase::forward, [&] { trainee_.boundary_store()->attach(batch, some); });
    result.loss_sum += add_loss_gradient(trainee_.executable(), batch, objective, gradients, profile);
  }
  return result;
}

/// The same of the whole update.
StepResult Stepper::accumulate(const std::vector<Update>& update, std::int64_t number) {
  trainee_.optimizer().zero_grad();
  if (lanes() == 1) at::manual_seed(dropout_seed(session_, number, 0));  // which recomputed layers start from
  std::vector<StepResult> results(update.size());
  lanes_.run([&](std::size_t lane) {
    std::optional<OwnDropout> masks;
    if (lanes() > 1) masks.emplace(dropout_seed(session_, number, lane));
    const Profile::Lane profile(profile_, lanes());
    results[lane] = accumulate_lane(update[lane], gradients_[lane], profile_);
  });
  StepResult sum = results.front();
  for (std::size_t lane = 1; lane < results.size(); ++lane) {
    trainee_.optimizer().flat_gradients().add_(gradients_[lane].flat());
    const StepResult& result = results[lane];
    sum.loss_sum += result.loss_sum;
    sum.tokens += result.tokens;
    sum.positions += result.positions;
    sum.labelled += result.labelled;
    sum.longest = std::max(sum.longest, result.longest);
  }
  return sum;
}

/// The same in as many parts as memory needs.
StepResult Stepper::accumulate_in_parts(const std::vector<Update>& update, std::int64_t number,
                                        std::int64_t& parts) {
  for (;;) {
    try {
      std::vector<Update> lanes;
      for (const Update& lane : update) lanes.push_back(split(lane, parts));
      return accumulate(lanes, number);
    } catch (const Error& error) {
      if (error.code() != ExitCode::memory) throw;
      if (!can_be_split(update, parts))
        throw Error(ExitCode::memory, error.what(),
                    "a single row is too much: lower --max-length, or close other programs");
      log_warn("train", error.what(), "; micro-batches are halved, updates stay the same");
    }
    parts *= 2;
  }
}

StepResult Stepper::run(const std::vector<Update>& update, std::int64_t number, double learning_rate,
                        std::int64_t& parts) {
  trainee_.set_training(true);
  StepResult result = accumulate_in_parts(update, number, parts);
  trainee_.set_training(false);
  profiled(profile_, Phase::exchange, [&] { add_up(session_.ranks, result); });
  if (result.labelled == 0)  // encoding drops rows without labels
    throw Error(ExitCode::internal, "an update has no labelled token, so that it would train nothing");
  result.finite = std::isfinite(result.loss_sum);
  if (!result.finite) return result;
  profiled(profile_, Phase::exchange,
           [&] { sum_gradients(session_.ranks, trainee_.optimizer().flat_gradients()); });
  const Profile::Scope scope(profile_, Phase::optimizer);
  const double divisor = static_cast<double>(result.labelled) * trainee_.loss_scale().value();
  result.gradient_norm = trainee_.optimizer().scale_and_clip(1.0 / divisor, session_.config.clip);
  result.finite = std::isfinite(result.gradient_norm);
  result.overflowed = trainee_.loss_scale().adapt(result.finite);
  if (result.finite) trainee_.optimizer().step(learning_rate);
  return result;
}

}  // namespace lora
