#include "train/progress.h"

#include <algorithm>
#include <cstdio>

#include "lora/base/log.h"
#include "lora/base/text.h"

namespace lora {
namespace {

/// Seconds between plain lines.
constexpr double kLinePause = 10;
constexpr int kBarWidth = 20;
/// The first updates are slower (memory is touched for the first time) and say little about the rest.
constexpr std::int64_t kStepsBeforeEstimate = 3;

}  // namespace

std::string progress_text(const ProgressState& state) {
  std::string text = cat("step ", state.step, "/", state.total, "  loss ", fixed(state.loss, 3), " ", state.unit, "  ",
                         fixed(state.tokens_per_second, 0), " tok/s  peak ", human_bytes(state.peak_bytes));
  if (state.step >= kStepsBeforeEstimate && state.step < state.total) {
    const double per_step = state.seconds / static_cast<double>(state.step);
    text += cat("  ", human_seconds(per_step * static_cast<double>(state.total - state.step)), " left");
  }
  return text;
}

std::string progress_bar(std::int64_t step, std::int64_t total, int width) {
  const auto done = static_cast<std::size_t>(width * std::min(step, total) / std::max<std::int64_t>(1, total));
  return cat("[", std::string(done, '#'), std::string(static_cast<std::size_t>(width) - done, '.'), "]");
}

void Progress::show(const ProgressState& state) {
  if (terminal_) {
    const std::string line = progress_bar(state.step, state.total, kBarWidth) + " " + progress_text(state);
    const std::string gap(drawn_ > line.size() ? drawn_ - line.size() : 0, ' ');
    std::fprintf(stderr, "\r%s%s", line.c_str(), gap.c_str());
    std::fflush(stderr);
    drawn_ = line.size();
    return;
  }
  const bool due = last_line_seconds_ < 0 || state.seconds - last_line_seconds_ >= kLinePause;
  if (!due && state.step < state.total) return;
  last_line_seconds_ = state.seconds;
  log_info("train", progress_text(state));
}

void Progress::note(const std::string& text) {
  clear();
  log_info("train", text);
}

void Progress::clear() {
  if (drawn_ == 0) return;
  std::fprintf(stderr, "\r%s\r", std::string(drawn_, ' ').c_str());
  std::fflush(stderr);
  drawn_ = 0;
}

}  // namespace lora
