#pragma once

#include <optional>
#include <string>
#include <vector>

#include "eval/loaded_model.h"
#include "lora/config/train_config.h"
#include "lora/data/encode.h"
#include "lora/data/example.h"
#include "lora/eval/evaluate.h"
#include "train/ranks.h"

namespace lora {

/// What a training works on: the model and its rows.
struct Session {
  const TrainConfig& config;
  Ranks& ranks;  ///< the processes that work on it
  int threads;
  LoadedModel model;
  EncodeOptions encoding;
  DataSet data;
  EncodedSet rows;
  std::optional<DataSet> valid_data;
  EncodedSet valid;  ///< empty without validation data
  std::optional<Evaluation>
      validation;  ///< on `valid`, with questions where the data have choices or label words

  /// What this process takes of each update.
  RowShare share() const {
    return {static_cast<std::size_t>(ranks.rank()), static_cast<std::size_t>(ranks.count())};
  }
  Task task() const { return model.program.info().task; }
};

/// Reads data first (a bad row costs no model loading), then the model, then encodes. Cores and CUDA devices
/// are divided among the ranks of a machine where the options name none. mismatch error if ranks read
/// different files; usage error if some rank would have no rows.
Session open_session(const TrainConfig& config, Ranks& ranks);

/// For a process alone.
Session open_session(const TrainConfig& config);

/// Number of validation rows whose ids also occur in training.
std::int64_t count_overlap(const std::vector<EncodedRow>& train, const std::vector<EncodedRow>& valid);

}  // namespace lora
