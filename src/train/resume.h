#pragma once

#include <string>

#include "base/json.h"
#include "lora/config/train_config.h"
#include "train/session.h"

namespace lora {

/// What --resume RUN writes to: the run itself.
TrainConfig with_resumed_folder(TrainConfig config);

/// The same files from whatever folder the program is started.
TrainConfig with_absolute_paths(TrainConfig config);

/// usage error for a name in --allow-change that nothing has, with the nearest ones.
void check_allowed_changes(const TrainConfig& config);

/// The options that change what is trained, without files.
Json training_options(const TrainConfig& config);

/// What else a run is compared by, as config.json of a run records it: hashes of model, tokenizer and data,
/// names of classes, the number of ranks.
Json compared_contents(const Session& session);

/// mismatch error that lists every difference between a run's config.json and this session: options that
/// change the training, and compared_contents. Differences named by --allow-change are
/// logged instead; a warning says what else changes the last digits: threads, device, processor, versions.
void check_resumable(const Session& session, const std::string& recorded_config);

}  // namespace lora
