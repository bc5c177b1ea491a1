#include "train/step_times.h"

#include <algorithm>

namespace lora {

void StepTimes::add(double seconds) {
  if (seconds_.size() == kMost) seconds_.erase(seconds_.begin());
  seconds_.push_back(seconds);
}

double StepTimes::median() const {
  if (seconds_.empty()) return 0;
  std::vector<double> sorted = seconds_;
  const auto middle = sorted.begin() + static_cast<std::ptrdiff_t>(sorted.size() / 2);
  std::nth_element(sorted.begin(), middle, sorted.end());
  return *middle;
}

}  // namespace lora
