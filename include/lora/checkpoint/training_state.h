#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "lora/checkpoint/safetensors.h"

namespace lora {

/// Everything that a training needs to go on after an update as if it had never stopped.
struct TrainingState {
  std::int64_t step = 0;  ///< updates done
  TensorMap tensors;      ///< trained values, moments
  std::string progress;   ///< JSON object of the loop: losses so far, best validation, patience
};

/// RUN/checkpoints/step-000123/{training.safetensors, state.json, adapter/}.
///
/// Writing, by a PendingFolder: all members, each synced; the tensors are read back and compared by hash;
/// then state.json, which holds the hashes of all members and of itself and is the sign that the checkpoint
/// is whole; then the folder takes its name and its parent is synced; only then older ones are removed.
class CheckpointStore {
 public:
  /// `keep`: how many remain, the newest.
  CheckpointStore(std::filesystem::path run, std::int64_t keep);

  /// `write_adapter(folder)` may add further members. io error if something fails; older checkpoints then
  /// stay.
  void write(const TrainingState& state,
             const std::function<void(const std::filesystem::path&)>& write_adapter) const;

  /// The newest checkpoint that is whole and to which `check`, if given, has no objection (an error); others
  /// are named in a warning. Nothing if there is none.
  std::optional<TrainingState> read_newest(void (*check)(const TrainingState&) = nullptr) const;

  bool empty() const;
  /// Removes all, when the training's results are written.
  void clear() const;

 private:
  std::filesystem::path folder_;
  std::int64_t keep_;
};

}  // namespace lora
