#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "eval/metrics/bootstrap.h"

namespace lora {

/// A figure of a set of examples with its certainty.
struct Estimate {
  double value = 0;
  std::optional<Interval> interval;
  std::optional<double> p_value;  ///< of the difference from a baseline on the same examples
};

/// `baseline`: null for the baseline itself. `samples`: of the bootstrap; 0: the value only.
Estimate estimate(const std::vector<Statistics>& rows, const std::vector<Statistics>* baseline,
                  const ValueOfSum& value, int samples);

/// "0.8370 [0.8140, 0.8590] p 0.032", as far as it is known.
std::string estimate_text(const Estimate& estimate, int digits);

/// {"value", "interval", "p_value"}, as far as they are known.
Json estimate_json(const Estimate& estimate);

}  // namespace lora
