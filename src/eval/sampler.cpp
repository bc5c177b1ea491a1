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

/// Ids by falling score, ties by rising id: the `most` first (0: all) and those that equal the last of them.
std::vector<std::int32_t> likeliest(const float* values, std::size_t count, std::size_t most) {
  std::vector<std::int32_t> order(count);
  std::iota(order.begin(), order.end(), 0);
  const auto likelier = [&](std::int32_t a, std::int32_t b) {
    return values[a] != values[b] ? values[a] > values[b] : a < b;
  };
  if (most == 0 || most > count) most = count;
  const auto end = order.begin() + static_cast<std::ptrdiff_t>(most);
  std::partial_sort(order.begin(), end, order.end(), likelier);
  const float least = values[order[most - 1]];
  const auto behind = std::partition(end, order.end(), [&](std::int32_t id) { return values[id] == least; });
  std::sort(end, behind);
  order.erase(behind, order.end());
  return order;
}

}  // namespace

void penalise_repetition(const at::Tensor& scores, const TokenIds& row, const SamplingOptions& options) {
  auto* values = scores.mutable_data_ptr<float>();
  const auto has_score = [&](std::int32_t id) { return id < scores.numel(); };
  if (options.repetition_penalty != 1) {
    const auto penalty = static_cast<float>(options.repetition_penalty);
    for (const std::int32_t id : std::set<std::int32_t>(row.begin(), row.end())) {
      if (has_score(id)) values[id] = values[id] < 0 ? values[id] * penalty : values[id] / penalty;
    }
  }
  for (const std::int32_t id : repeating_tokens(row, static_cast<std::size_t>(options.no_repeat_ngram))) {
    if (has_score(id)) values[id] = -std::numeric_limits<float>::infinity();
  }
}

DrawnTokens drawn_tokens(const at::Tensor& scores, const SamplingOptions& options) {
  const auto count = static_cast<std::size_t>(scores.numel());
  const float* values = scores.const_data_ptr<float>();
  DrawnTokens drawn{likeliest(values, count, static_cast<std::size_t>(options.top_k)), {}, 0};
  double all = 0;
  for (const std::int32_t id : drawn.ids) {
    drawn.weights.push_back(
        std::exp((static_cast<double>(values[id]) - static_cast<double>(values[drawn.ids.front()])) /
                 options.temperature));
    all += drawn.weights.back();
  }
  std::size_t size = 0;
  while (size < drawn.ids.size() &&
         (size == 0 || (drawn.total < options.top_p * all && drawn.weights[size] >= options.min_p)))
    drawn.total += drawn.weights[size++];
  drawn.ids.resize(size);
  drawn.weights.resize(size);
  return drawn;
}

std::int32_t choose_token(const at::Tensor& scores, const SamplingOptions& options, std::uint64_t row,
                          std::uint64_t step) {
  if (options.temperature == 0) {
    const float* values = scores.const_data_ptr<float>();
    return static_cast<std::int32_t>(std::max_element(values, values + scores.numel()) - values);
  }
  const DrawnTokens drawn = drawn_tokens(scores, options);
  double left = CounterRandom(options.seed, row).uniform(step) * drawn.total;
  for (std::size_t i = 0; i + 1 < drawn.ids.size(); ++i) {
    left -= drawn.weights[i];
    if (left < 0) return drawn.ids[i];
  }
  return drawn.ids.back();
}

}  // namespace lora
