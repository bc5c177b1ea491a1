#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "lora/checkpoint/training_state.h"
#include "train/run_record.h"
#include "train/step_times.h"

namespace lora {

/// What a training reached.
struct Outcome {
  std::int64_t updates = 0, tokens = 0, skipped = 0;
  double seconds = 0;
  double final_train_loss = 0;
  std::uint64_t activation_bytes = 0;  ///< most that a step allocated
  double median_step_seconds = 0;      ///< of the newest updates
  std::optional<Validation> best;
  std::int64_t saved_step = 0;  ///< update after which the files on disk were written
  std::uint64_t checkpoint_bytes = 0;
  bool stopped_early = false;
};

/// What a loop remembers from update to update, beside tensors.
struct LoopState : Outcome {
  double interval_loss = 0;  ///< since the last metrics line
  std::int64_t interval_labelled = 0;
  std::int64_t bad_in_a_row = 0;    ///< updates without a finite loss or gradient
  std::int64_t rolled_back_to = 0;  ///< update whose values were taken again; 0: none
  std::int64_t parts = 1;           ///< of each micro-batch, since memory ran out
  std::int64_t worse_in_a_row = 0;  ///< validations
  bool validation_due = false;      ///< the update is done, its validation is not
  std::uint64_t metrics_bytes = 0;  ///< size of metrics.jsonl
  StepTimes step_times;
};

/// Progress of a TrainingState.
std::string progress_json(const LoopState& state);

/// The state whose progress was written. file error for a missing key and for a number that no loop reaches.
LoopState read_loop_state(const TrainingState& state);
inline void check_progress(const TrainingState& state) { read_loop_state(state); }

}  // namespace lora
