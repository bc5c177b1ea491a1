#pragma once

#include <cstdint>
#include <string>

namespace lora {

/// Where a training stands.
struct ProgressState {
  std::int64_t step = 0, total = 0;
  double loss = 0;  ///< nats per labelled token, or row
  std::string unit = "nats/token";
  double tokens_per_second = 0;
  std::uint64_t peak_bytes = 0;
  double seconds = 0;  ///< since the first update began
};

/// "step 40/200  loss 2.113 nats/token  612 tok/s  peak 1.1 GiB  5m10s left"; the last part from step 3 on.
std::string progress_text(const ProgressState& state);

/// "[#####...............]" of `width` characters inside.
std::string progress_bar(std::int64_t step, std::int64_t total, int width);

/// Shows progress on stderr: a bar that is redrawn on a terminal, otherwise a line now and then.
class Progress {
 public:
  explicit Progress(bool terminal) : terminal_(terminal) {}
  ~Progress() { clear(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void show(const ProgressState& state);
  /// Logs a line without tearing the bar.
  void note(const std::string& text);

 private:
  void clear();

  bool terminal_;
  std::size_t drawn_ = 0;  ///< characters of the bar on screen
  double last_line_seconds_ = -1;
};

}  // namespace lora
