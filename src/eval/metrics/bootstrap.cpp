#include "eval/metrics/bootstrap.h"

#include <algorithm>
#include <cmath>

#include "lora/base/random.h"

namespace lora {
namespace {

constexpr std::uint64_t kSeed = 20;
constexpr double kTail = 0.025;

void add(Statistics& sum, const Statistics& row) {
  for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += row[i];
}

/// Between order statistics, linearly.
double quantile(const std::vector<double>& sorted, double share) {
  const double at = share * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(at);
  const std::size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (at - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

}  // namespace

Interval bootstrap_interval(const std::vector<Statistics>& examples, const ValueOfSum& value, int samples) {
  std::vector<double> values;
  for (int sample = 0; sample < samples; ++sample) {
    const CounterRandom random(kSeed, static_cast<std::uint64_t>(sample));
    Statistics sum(examples[0].size(), 0.0);
    for (std::size_t i = 0; i < examples.size(); ++i) add(sum, examples[random.below(i, examples.size())]);
    values.push_back(value(sum));
  }
  std::sort(values.begin(), values.end());
  return {quantile(values, kTail), quantile(values, 1 - kTail)};
}

double paired_p_value(const std::vector<Statistics>& first, const std::vector<Statistics>& second,
                      const ValueOfSum& value, int samples) {
  const double observed = std::abs(value(sum_of(first)) - value(sum_of(second)));
  int as_large = 0;
  for (int sample = 0; sample < samples; ++sample) {
    const CounterRandom random(kSeed, static_cast<std::uint64_t>(sample));
    Statistics a(first[0].size(), 0.0), b = a;
    for (std::size_t i = 0; i < first.size(); ++i) {
      const bool exchanged = random.below(i, 2) == 1;
      add(a, exchanged ? second[i] : first[i]);
      add(b, exchanged ? first[i] : second[i]);
    }
    as_large += std::abs(value(a) - value(b)) >= observed - 1e-12;
  }
  return (as_large + 1.0) / (samples + 1.0);
}

}  // namespace lora
