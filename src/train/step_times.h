#pragma once

#include <cstddef>
#include <vector>

namespace lora {

/// Seconds of the newest updates: a bounded record, since it is part of every checkpoint.
class StepTimes {
 public:
  static constexpr std::size_t kMost = 1000;

  void add(double seconds);
  const std::vector<double>& newest() const { return seconds_; }
  /// 0 before the first.
  double median() const;

 private:
  std::vector<double> seconds_;  ///< oldest first
};

}  // namespace lora
