#include "eval/sampler.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "lora/base/random.h"

namespace lora {

std::int32_t choose_token(const at::Tensor& logits, const SamplingOptions& options, std::uint64_t row,
                          std::uint64_t step) {
  const at::Tensor scores = logits.to(at::kDouble).cpu().contiguous();
  const auto count = static_cast<std::size_t>(scores.numel());
  const double* values = scores.const_data_ptr<double>();
  if (options.temperature == 0)
    return static_cast<std::int32_t>(std::max_element(values, values + count) - values);
  std::vector<std::int32_t> order(count);
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](std::int32_t a, std::int32_t b) { return values[a] > values[b]; });
  if (options.top_k > 0) order.resize(std::min(count, static_cast<std::size_t>(options.top_k)));
  std::vector<double> weights;
  double total = 0;
  for (const std::int32_t id : order) {
    weights.push_back(std::exp((values[id] - values[order.front()]) / options.temperature));
    total += weights.back();
  }
  double kept = 0;
  std::size_t size = 0;
  while (size < order.size() && (size == 0 || kept < options.top_p * total)) kept += weights[size++];
  double left = CounterRandom(options.seed, row).uniform(step) * kept;
  for (std::size_t i = 0; i + 1 < size; ++i) {
    left -= weights[i];
    if (left < 0) return order[i];
  }
  return order[size - 1];
}

}  // namespace lora
