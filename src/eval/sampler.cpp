#include "eval/sampler.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <set>
#include <vector>

#include "lora/base/random.h"

namespace lora {
namespace {

/// Tokens that would complete an n-gram that `row` holds.
std::set<std::int32_t> repeating_tokens(const TokenIds& row, std::size_t n) {
  std::set<std::int32_t> tokens;
  if (n == 0 || row.size() + 1 < n) return tokens;
  const auto begun = row.end() - static_cast<std::ptrdiff_t>(n - 1);
  for (auto at = row.begin(); at + static_cast<std::ptrdiff_t>(n) <= row.end(); ++at) {
    if (std::equal(begun, row.end(), at)) tokens.insert(*(at + static_cast<std::ptrdiff_t>(n - 1)));
  }
  return tokens;
}

}  // namespace

void penalise_repetition(const at::Tensor& scores, const TokenIds& row, const SamplingOptions& options) {
  auto* values = scores.mutable_data_ptr<float>();
  if (options.repetition_penalty != 1) {
    const auto penalty = static_cast<float>(options.repetition_penalty);
    for (const std::int32_t id : std::set<std::int32_t>(row.begin(), row.end()))
      values[id] = values[id] < 0 ? values[id] * penalty : values[id] / penalty;
  }
  for (const std::int32_t id : repeating_tokens(row, static_cast<std::size_t>(options.no_repeat_ngram)))
    values[id] = -std::numeric_limits<float>::infinity();
}

std::int32_t choose_token(const at::Tensor& scores, const SamplingOptions& options, std::uint64_t row,
                          std::uint64_t step) {
  const auto count = static_cast<std::size_t>(scores.numel());
  const float* values = scores.const_data_ptr<float>();
  if (options.temperature == 0)
    return static_cast<std::int32_t>(std::max_element(values, values + count) - values);
  std::vector<std::int32_t> order(count);
  std::iota(order.begin(), order.end(), 0);
  const auto likelier = [&](std::int32_t a, std::int32_t b) {
    return values[a] != values[b] ? values[a] > values[b] : a < b;
  };
  const std::size_t most =
      options.top_k > 0 ? std::min(count, static_cast<std::size_t>(options.top_k)) : count;
  std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(most), order.end(), likelier);
  order.resize(most);
  std::vector<double> weights;
  double total = 0;
  for (const std::int32_t id : order) {
    weights.push_back(
        std::exp((static_cast<double>(values[id]) - static_cast<double>(values[order.front()])) /
                 options.temperature));
    total += weights.back();
  }
  double kept = 0;
  std::size_t size = 0;
  while (size < order.size() &&
         (size == 0 || (kept < options.top_p * total && weights[size] >= options.min_p)))
    kept += weights[size++];
  double left = CounterRandom(options.seed, row).uniform(step) * kept;
  for (std::size_t i = 0; i + 1 < size; ++i) {
    left -= weights[i];
    if (left < 0) return order[i];
  }
  return order[size - 1];
}

}  // namespace lora
