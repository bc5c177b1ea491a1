#include "lora/train/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "lora/base/error.h"
#include "lora/base/text.h"

namespace lora {
namespace {

/// Thinking Machines, "LoRA Without Regret" (2025): the best rate of LoRA as a fit over model widths.
constexpr double kRateAtReference = 5e-4, kReferenceWidth = 2000, kWidthExponent = 0.78;
constexpr double kLowestRate = 1e-4, kHighestRate = 2e-3;
/// Full fine-tuning wants about a tenth of LoRA's rate.
constexpr double kFullShare = 0.1;

}  // namespace

double Schedule::at(std::int64_t step) const {
  if (step < warmup_steps) return peak * static_cast<double>(step) / static_cast<double>(warmup_steps);
  if (kind == "constant") return peak;
  const auto after = static_cast<double>(step - warmup_steps);
  const auto span = static_cast<double>(std::max<std::int64_t>(1, total_steps - warmup_steps));
  if (kind == "linear") return peak * std::max(0.0, (static_cast<double>(total_steps - step)) / span);
  if (kind == "cosine") return peak * std::max(0.0, 0.5 * (1 + std::cos(std::numbers::pi * after / span)));
  throw Error(ExitCode::usage, cat("schedule \"", kind, "\": expected constant, linear or cosine"));
}

double default_learning_rate(std::int64_t hidden_size, bool full) {
  const double width = hidden_size > 0 ? static_cast<double>(hidden_size) : kReferenceWidth;
  const double fit = kRateAtReference * std::pow(kReferenceWidth / width, kWidthExponent);
  return std::clamp(fit, kLowestRate, kHighestRate) * (full ? kFullShare : 1);
}

std::int64_t warmup_updates(double warmup, std::int64_t total) {
  if (total == 1) return 0;
  const double updates = warmup < 1 ? warmup * static_cast<double>(total) : warmup;
  return std::min(total, static_cast<std::int64_t>(std::ceil(updates)));
}

}  // namespace lora
