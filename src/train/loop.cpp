#include "train/loop.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "base/json.h"
#include "base/report_text.h"
#include "lora/base/error.h"
#include "lora/base/log.h"
#include "lora/base/process.h"
#include "lora/base/stop.h"
#include "lora/base/text.h"
#include "train/memory_meter.h"
#include "train/rank_errors.h"

namespace lora {
namespace {

constexpr int kMostBadInARow = 3;
/// Rows named in a divergence message.
constexpr std::size_t kNamedRows = 20;

std::string rows_of(const Session& session, const Update& update) {
  std::vector<std::string> lines;
  for (const auto& rows : update.micro_batches) {
    for (std::size_t row : rows) lines.push_back(std::to_string(session.rows.rows[row].line));
  }
  return join_first(lines, kNamedRows);
}

}  // namespace

Loop::Loop(const Session& session, const Plan& plan, const Sampler& sampler, Trainee& trainee, RunFolder* run,
           Profile* profile)
    : session_(session),
      plan_(plan),
      sampler_(sampler),
      trainee_(trainee),
      run_(run),
      profile_(profile),
      progress_(run && stderr_is_terminal()),
      checkpoints_(session.config.out, session.config.keep_checkpoints),
      gradients_(trainee.adapter()),
      stepper_(session, trainee, sampler.layout(), plan.lanes, profile) {}

Outcome Loop::run() {
  start_ = monotonic_seconds() - state_.seconds;
  try {
    updates();
  } catch (const RankLost& lost) {
    request_stop();
    stop(lost.what());
  }
  state_.seconds = monotonic_seconds() - start_;
  state_.median_step_seconds = state_.step_times.median();
  return state_;
}

void Loop::updates() {
  // A validation that an earlier process left is done whatever the time, or it never would be.
  bool goes_on = !state_.validation_due || after_update();
  stop_after(session_.config.max_minutes * 60);
  while (goes_on && state_.updates < plan_.total_updates) {
    update(state_.updates);
    ++state_.updates;
    const std::int64_t period = session_.config.eval_every.value_or(plan_.updates_per_epoch);
    state_.validation_due = state_.updates == plan_.total_updates || state_.updates % period == 0;
    goes_on = after_update();
  }
}

bool Loop::heed_signals() {
  double stops = 0, saves = 0;
  for (const Ranks::Numbers& theirs : session_.ranks.gather(
           {static_cast<double>(stop_requested()), static_cast<double>(take_save_request())})) {
    stops += theirs[0];
    saves += theirs[1];
  }
  if (stops > 0) {
    request_stop();
    stop();
  }
  return saves > 0;
}

bool Loop::after_update() {
  const std::int64_t step = state_.updates;
  const bool last = step == plan_.total_updates;
  const auto save_every = session_.config.save_every;
  if (last && !session_.validation) stop_after(0);  // only results are left to write
  bool save = heed_signals() || (save_every && *save_every > 0 && step % *save_every == 0);
  if (state_.validation_due) {
    try {
      if (!validate(step, last)) return false;
    } catch (const RankLost&) {
      throw;
    } catch (const Error& error) {
      if (error.code() == ExitCode::memory) end_for_memory(error);
      if (error.code() != ExitCode::stopped) throw;
      stop();
    }
    state_.validation_due = false;
    save = save || !save_every;
  }
  // A checkpoint after a bad update would be of values that may have gone astray.
  if (save && !last && update_was_good_) save_checkpoint();
  return true;
}

void Loop::stop(const std::string& reason) {
  save_checkpoint();
  const std::string& run = session_.config.out;
  throw Error(ExitCode::stopped,
              cat(reason, " after update ", state_.updates, " of ", plan_.total_updates,
                  "; everything is saved in ", run),
              cat("go on with lora-train --resume ", run));
}

bool Loop::save_checkpoint() {
  if (!run_) return true;
  const Profile::Scope scope(profile_, Phase::saving);
  const auto write_adapter = [&](const std::filesystem::path& folder) {
    if (trainee_.is_full()) return;
    trainee_.save(folder / "adapter", {}, provenance(session_, state_.updates),
                  model_card(session_, plan_, state_.updates, state_.final_train_loss, state_.best));
  };
  try {
    run_->metrics().sync();  // the checkpoint says how much of it there is
    state_.metrics_bytes = run_->metrics().size();
    state_.seconds = monotonic_seconds() - start_;
    checkpoints_.write({state_.updates, trainee_.state(), progress_json(state_)}, write_adapter);
    return true;
  } catch (const Error& error) {
    if (stop_requested() || error.code() != ExitCode::io) throw;
    log_warn("train", "no checkpoint of update ", state_.updates, ", training goes on: ", error.what());
    return false;
  }
}

void Loop::restore(const TrainingState& state) {
  state_ = read_loop_state(state);
  trainee_.restore(state.tensors);
  if (!run_) return;
  if (state_.metrics_bytes > run_->metrics().size())
    log_warn("train", "metrics.jsonl has lost lines from before update ", state.step);
  else
    run_->metrics().truncate(state_.metrics_bytes);
}

void Loop::update(std::int64_t number) {
  const MemoryMeter meter;
  const double start = monotonic_seconds();
  if (profile_) profile_->begin_update();
  const StepResult result = step(number);
  if (profile_) profile_->end_update(result);
  state_.step_times.add(monotonic_seconds() - start);
  state_.activation_bytes = std::max(state_.activation_bytes, meter.peak_bytes());
  state_.tokens += result.tokens;
  update_was_good_ = result.finite || result.overflowed;
  if (result.overflowed) return skip(result, number);
  result.finite ? accept(result, number) : reject(result, number);
}

StepResult Loop::step(std::int64_t number) {
  try {
    const auto lanes = static_cast<std::size_t>(stepper_.lanes());
    const auto rows =
        profiled(profile_, Phase::data, [&] { return sampler_.lanes(number, session_.share(), lanes); });
    return stepper_.run(rows, number, plan_.schedule.at(number), state_.parts);
  } catch (const Error& error) {
    trainee_.set_training(false);
    if (error.code() != ExitCode::memory || number == 0) throw;
    end_for_memory(error);
  }
}

void Loop::end_for_memory(const Error& error) {
  const std::string kept =
      save_checkpoint() ? cat("; the ", state_.updates, " updates so far are kept in ") : "; see ";
  const std::string& run = session_.config.out;
  throw Error(ExitCode::memory, cat(error.what(), kept, run),
              cat(error.hint(), "; then go on with lora-train --resume ", run));
}

void Loop::accept(const StepResult& result, std::int64_t number) {
  state_.bad_in_a_row = 0;
  check_gradients(result, number);
  state_.final_train_loss = result.loss();
  state_.interval_loss += result.loss_sum;
  state_.interval_labelled += result.labelled;
  const std::int64_t step = number + 1;
  if (step % session_.config.log_every == 0 || step == plan_.total_updates) log_metrics(result, number);
  const double seconds = monotonic_seconds() - start_;
  progress_.show({step, plan_.total_updates, result.loss(), loss_unit(session_.task()),
                  static_cast<double>(state_.tokens) / seconds, peak_resident_bytes(), seconds});
}

void Loop::skip(const StepResult& result, std::int64_t number) {
  ++state_.skipped;
  const double scale = trainee_.loss_scale().value();
  progress_.note(cat("step ", number + 1,
                     ": the gradient leaves float16's range, update skipped; the loss scale is now ", scale));
  write_metrics(Json({{"step", number + 1},
                      {"skipped", cat("gradient norm ", result.gradient_norm)},
                      {"loss_scale", scale}})
                    .dump());
}

void Loop::reject(const StepResult& result, std::int64_t number) {
  ++state_.skipped;
  const std::string what = std::isfinite(result.loss_sum) ? cat("gradient norm ", result.gradient_norm)
                                                          : cat("loss ", result.loss());
  const std::string rows = rows_of(session_, sampler_.update(number));
  progress_.note(cat("step ", number + 1, ": ", what, ", update skipped; rows at lines ", rows));
  write_metrics(Json({{"step", number + 1}, {"skipped", what}}).dump());
  if (++state_.bad_in_a_row < kMostBadInARow || roll_back(number)) return;
  throw Error(ExitCode::diverged,
              cat("training diverged: ", kMostBadInARow, " updates in a row up to step ", number + 1,
                  " had no finite ", "loss or gradient (", what, "); rows of the last at lines ", rows,
                  " of ", session_.config.data.path),
              cat("lower --learning-rate (now ", plan_.schedule.peak, "); ",
                  state_.saved_step
                      ? cat("the files of step ", state_.saved_step, " are kept in ", session_.config.out)
                      : "nothing was saved before"));
}

bool Loop::roll_back(std::int64_t number) {
  const auto newest = checkpoints_.read_newest(check_progress);
  if (!session_.ranks.agree(newest ? static_cast<double>(newest->step) : 0)) return false;
  if (!newest || newest->step == state_.rolled_back_to) return false;
  trainee_.restore(newest->tensors);
  state_.rolled_back_to = newest->step;
  state_.bad_in_a_row = 0;
  log_warn("train", kMostBadInARow, " updates in a row up to step ", number + 1,
           " had no finite loss or gradient: back to the values of update ", newest->step,
           ", and on with later rows");
  return true;
}

void Loop::check_gradients(const StepResult& result, std::int64_t number) {
  // One token attends to itself alone: queries and keys then have no gradient, rightly.
  if (gradients_.is_done() || result.longest < 2 || result.labelled == 0) return;
  gradients_.look(number);
}

void Loop::write_metrics(const std::string& line) {
  if (!run_) return;
  try {
    run_->append_metrics(line);
  } catch (const Error& error) {
    log_warn("train", "metrics.jsonl lacks a line, training goes on: ", error.what());
  }
}

void Loop::log_metrics(const StepResult& result, std::int64_t number) {
  const double seconds = monotonic_seconds() - start_;
  const auto step = static_cast<double>(number + 1);
  Json line = {{"step", number + 1},
               {"epoch", step / static_cast<double>(plan_.updates_per_epoch)},
               {"loss", state_.interval_loss /
                            static_cast<double>(std::max<std::int64_t>(1, state_.interval_labelled))},
               {"learning_rate", plan_.schedule.at(number)},
               {"gradient_norm", result.gradient_norm},
               {"tokens", state_.tokens},
               {"seconds", seconds},
               {"tokens_per_second", static_cast<double>(state_.tokens) / seconds},
               {"peak_bytes", peak_resident_bytes()}};
  if (trainee_.loss_scale().is_on()) line["loss_scale"] = trainee_.loss_scale().value();
  write_metrics(line.dump());
  state_.interval_loss = 0;
  state_.interval_labelled = 0;
}

bool Loop::validate(std::int64_t step, bool last) {
  if (!session_.validation) {
    keep(step, std::nullopt, last);
    return true;
  }
  const double start = monotonic_seconds();
  const Quality quality = profiled(profile_, Phase::validation, [&] {
    Ranks& ranks = session_.ranks;
    const auto [number, count] = session_.share();
    return session_.validation->run(trainee_.executable(), session_.model.program.device(),
                                    {number, count, [&](std::span<double> found) {
                                       ranks.gather({});  // all came so far
                                       ranks.sum(found);
                                     }});
  });
  const Validation validation{step, quality.loss, quality.accuracy};
  const bool better = std::isfinite(validation.loss) && (!state_.best || validation.loss < state_.best->loss);
  Json line = {{"step", step}, {"valid_loss", validation.loss}};
  if (validation.accuracy) line["valid_accuracy"] = *validation.accuracy;
  line["best"] = better;
  line["seconds"] = monotonic_seconds() - start_;
  write_metrics(line.dump());
  progress_.note(cat("step ", step, "  valid loss ", fixed(validation.loss, 4),
                     validation.accuracy ? "  accuracy " + fixed(*validation.accuracy, 3) : "",
                     better ? "  best so far" : "", "  (", human_seconds(monotonic_seconds() - start), ")"));
  if (better) {
    keep(step, validation, last);
    state_.worse_in_a_row = 0;
    return true;
  }
  ++state_.worse_in_a_row;
  state_.stopped_early = session_.config.patience > 0 && state_.worse_in_a_row >= session_.config.patience;
  return !state_.stopped_early;
}

void Loop::keep(std::int64_t step, const std::optional<Validation>& validation, bool last) {
  const bool written = !run_ || write_best(step, validation, last);
  // What is best so far decides when to stop, so that all ranks must know.
  if (session_.ranks.gather({static_cast<double>(written)}).front()[0] == 0) return;
  state_.saved_step = step;
  if (validation) state_.best = validation;
}

bool Loop::write_best(std::int64_t step, const std::optional<Validation>& validation, bool last) {
  const Profile::Scope scope(profile_, Phase::saving);
  try {
    state_.checkpoint_bytes =
        trainee_.save(run_->adapter(), run_->model(), provenance(session_, step),
                      model_card(session_, plan_, step, state_.final_train_loss, validation));
    return true;
  } catch (const Error& error) {
    // The disk may have room again at the next validation; at the end there is none.
    if (last || error.code() != ExitCode::io) throw;
    log_warn("train", "step ", step, " is not saved, training goes on: ", error.what());
    return false;
  }
}

}  // namespace lora
