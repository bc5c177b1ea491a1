#pragma once

#include <functional>
#include <vector>

#include "eval/metrics/text_metric.h"

namespace lora {

struct Interval {
  double low = 0, high = 0;
};

/// Value of a set by the sum of its examples' statistics.
using ValueOfSum = std::function<double(const Statistics&)>;

/// 95 % percentile bootstrap interval (Efron 1979): `samples` draws of as many examples with replacement. The
/// same input gives the same interval.
Interval bootstrap_interval(const std::vector<Statistics>& examples, const ValueOfSum& value,
                            int samples = 1000);

/// Two-sided p-value of the difference of two systems on the same examples, by paired approximate
/// randomisation (Noreen 1989): the share, one added above and below, of `samples` random exchanges of
/// examples between the systems whose difference is at least as large.
double paired_p_value(const std::vector<Statistics>& first, const std::vector<Statistics>& second,
                      const ValueOfSum& value, int samples = 1000);

}  // namespace lora
