#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "lora/checkpoint/adapter_folder.h"
#include "train/plan.h"
#include "train/session.h"

namespace lora {

/// One validation.
struct Validation {
  std::int64_t step = 0;
  double loss = 0;
  std::optional<double> accuracy;   ///< by label words or classes
};

/// config.json of a run: the resolved options, versions and the hashes of everything that was read.
std::string run_config_json(const Session& session, const Plan& plan);

/// What is known about an adapter or model written at `step`.
AdapterProvenance provenance(const Session& session, std::int64_t step);

/// Text of the model card: what was trained on what, with the numbers so far.
std::string model_card(const Session& session, const Plan& plan, std::int64_t step, double train_loss,
                       const std::optional<Validation>& validation);

}  // namespace lora
