#pragma once

#include <cstdint>
#include <string>

namespace lora {

/// Learning rate as a pure function of the step: linear warm-up from 0, then constant, linear to 0 or half a
/// cosine to 0. Step counts from 0; equals transformers' get_*_schedule_with_warmup.
struct Schedule {
  std::string kind = "linear";  ///< constant, linear, cosine
  double peak = 1e-3;
  std::int64_t warmup_steps = 0, total_steps = 1;
  double at(std::int64_t step) const;
};

/// 5e-4 (2000/h)^0.78 within [1e-4, 2e-3]; a tenth of it for full fine-tuning.
double default_learning_rate(std::int64_t hidden_size, bool full);

/// Warm-up as a number of updates: a share of `total`, rounded up as transformers does, if below 1, else
/// itself. A single update has none: its rate would be 0, and nothing trained.
std::int64_t warmup_updates(double warmup, std::int64_t total);

}  // namespace lora
