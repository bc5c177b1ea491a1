#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lora/base/error.h"
#include "lora/checkpoint/run_folder.h"
#include "lora/checkpoint/training_state.h"
#include "lora/data/batch.h"
#include "train/gradient_check.h"
#include "train/plan.h"
#include "train/profile.h"
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
  /// `run`: null on ranks other than the first, which write nothing.
  Loop(const Session& session, const Plan& plan, const Sampler& sampler, Trainee& trainee, RunFolder* run,
       Profile* profile = nullptr);

  /// Goes on from a checkpoint.
  void restore(const TrainingState& state);

  /// `stopped` error after a signal to any rank, when the time is over or when a rank is lost: a checkpoint
  /// is then written. After three updates in a row without a finite loss or gradient the values of the newest
  /// checkpoint are taken again; diverged error if there is none or if they lead there again, or if a trained
  /// tensor gets no gradient; what is on disk stays.
  Outcome run();

 private:
  void updates();
  void update(std::int64_t number);
  /// run_step(), and a checkpoint before it fails for want of memory.
  StepResult step(std::int64_t number);
  /// Validation, checkpoints and the end of what was asked for; false if the training is over.
  bool after_update();
  /// Stops all ranks if one was asked to; true if one was asked to save.
  bool heed_signals(bool last);
  /// False, with a warning, if the disk did not take it.
  bool save_checkpoint();
  [[noreturn]] void stop(const std::string& reason = "stopped");
  /// memory error after a checkpoint.
  [[noreturn]] void end_for_memory(const Error& error);
  std::string progress_json() const;
  void accept(const StepResult& result, std::int64_t number);
  /// After an overflow of float16.
  void skip(const StepResult& result, std::int64_t number);
  void reject(const StepResult& result, std::int64_t number);
  void write_metrics(const std::string& line);
  void log_metrics(const StepResult& result, std::int64_t number);
  /// To the values of the newest checkpoint; false if there is none, or if that was tried before.
  bool roll_back(std::int64_t number);
  void check_gradients(const StepResult& result, std::int64_t number);
  /// False if patience is over.
  bool validate(std::int64_t step, bool last);
  void keep(std::int64_t step, const std::optional<Validation>& validation, bool last);
  /// False, with a warning, if the disk did not take it; an io error at the end.
  bool write_best(std::int64_t step, const std::optional<Validation>& validation, bool last);

  const Session& session_;
  const Plan& plan_;
  const Sampler& sampler_;
  Trainee& trainee_;
  RunFolder* run_;
  Profile* profile_;  ///< null unless it was asked for
  Progress progress_;
  Outcome outcome_;
  CheckpointStore checkpoints_;
  GradientCheck gradients_;
  bool validation_due_ = false;  ///< the update is done, its validation is not
  double start_ = 0;
  double interval_loss_ = 0;  ///< since the last metrics line
  std::int64_t interval_labelled_ = 0;
  bool update_was_good_ = true;
  int bad_in_a_row_ = 0;
  std::int64_t rolled_back_to_ = 0;  ///< update whose values were taken again; 0: none
  std::int64_t parts_ = 1;           ///< of each micro-batch, since memory ran out
  std::int64_t worse_in_a_row_ = 0;
  std::vector<double> step_seconds_;
};

}  // namespace lora
