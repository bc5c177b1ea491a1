#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lora/checkpoint/run_folder.h"
#include "lora/checkpoint/training_state.h"
#include "lora/data/batch.h"
#include "train/plan.h"
#include "train/progress.h"
#include "train/run_record.h"
#include "train/session.h"
#include "train/step.h"
#include "train/trainee.h"

namespace lora {

/// What a training reached.
struct Outcome {
  std::int64_t updates = 0, tokens = 0, skipped = 0;
  double seconds = 0;
  double final_train_loss = 0;
  std::uint64_t activation_bytes = 0;  ///< most that a step allocated
  double median_step_seconds = 0;
  std::optional<Validation> best;
  std::int64_t saved_step = 0;  ///< update after which the files on disk were written
  std::uint64_t checkpoint_bytes = 0;
  bool stopped_early = false;
};

/// The updates of a training with validation, best checkpoint, early stopping and metrics.
class Loop {
 public:
  Loop(const Session& session, const Plan& plan, const Sampler& sampler, Trainee& trainee, RunFolder& run);

  /// Goes on from a checkpoint.
  void restore(const TrainingState& state);

  /// `stopped` error after a signal or when the time is over: a checkpoint is then written.
  /// diverged error after three updates in a row without a finite loss or gradient, or if an adapted target
  /// gets no gradient; what is on disk stays.
  Outcome run();

 private:
  void update(std::int64_t number);
  /// Validation, checkpoints and the end of what was asked for; false if the training is over.
  bool after_update();
  void save_checkpoint();
  [[noreturn]] void stop();
  std::string progress_json() const;
  void accept(const StepResult& result, std::int64_t number);
  void reject(const StepResult& result, std::int64_t number);
  void write_metrics(const std::string& line);
  void log_metrics(const StepResult& result, std::int64_t number);
  void check_gradients(const StepResult& result) const;
  /// False if patience is over.
  bool validate(std::int64_t step, bool last);
  void keep(std::int64_t step, const std::optional<Validation>& validation, bool last);

  const Session& session_;
  const Plan& plan_;
  const Sampler& sampler_;
  Trainee& trainee_;
  RunFolder& run_;
  Progress progress_;
  Outcome outcome_;
  CheckpointStore checkpoints_;
  bool validation_due_ = false;  ///< the update is done, its validation is not
  double start_ = 0;
  double interval_loss_ = 0;  ///< since the last metrics line
  std::int64_t interval_labelled_ = 0;
  int bad_in_a_row_ = 0;
  std::int64_t worse_in_a_row_ = 0;
  std::vector<double> step_seconds_;
};

}  // namespace lora
