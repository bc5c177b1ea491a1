#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "lora/base/error.h"
#include "lora/checkpoint/run_folder.h"
#include "lora/checkpoint/training_state.h"
#include "lora/data/batch.h"
#include "train/gradient_check.h"
#include "train/loop_state.h"
#include "train/plan.h"
#include "train/profile.h"
#include "train/progress.h"
#include "train/session.h"
#include "train/step.h"
#include "train/trainee.h"

namespace lora {

/// The updates of a training with validation, best checkpoint, early stopping and metrics.
class Loop {
 public:
  /// `run`: null on ranks other than the first, which write nothing.
  Loop(const Session& session, const Plan& plan, const Sampler& sampler, Trainee& trainee, RunFolder* run,
       Profile* profile = nullptr);

  /// Goes on from a checkpoint; file error if its progress is none of a loop.
  void restore(const TrainingState& state);

  /// `stopped` error after a signal to any rank, when the time is over or when a rank is lost: a checkpoint
  /// is then written. After three updates in a row without a finite loss or gradient the values of the newest
  /// checkpoint are taken again; diverged error if there is none or if they lead there again, or if a trained
  /// tensor gets no gradient; what is on disk stays.
  Outcome run();

 private:
  void updates();
  void update(std::int64_t number);
  /// An update, and a checkpoint before it fails for want of memory.
  StepResult step(std::int64_t number);
  /// Validation, checkpoints and the end of what was asked for; false if the training is over.
  bool after_update();
  /// Stops all ranks if one was asked to; true if one was asked to save.
  bool heed_signals();
  /// False, with a warning, if the disk did not take it.
  bool save_checkpoint();
  [[noreturn]] void stop(const std::string& reason = "stopped");
  /// memory error after a checkpoint.
  [[noreturn]] void end_for_memory(const Error& error);
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
  LoopState state_;
  CheckpointStore checkpoints_;
  GradientCheck gradients_;
  Stepper stepper_;
  double start_ = 0;
  bool update_was_good_ = true;
};

}  // namespace lora
