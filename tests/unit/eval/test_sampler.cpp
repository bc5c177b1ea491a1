#include "eval/sampler.h"

#include <ATen/ATen.h>

#include <cmath>
#include <map>

#include "support/catch.h"

using namespace lora;

namespace {

const at::Tensor kLogits = at::tensor({1.0f, 3.0f, 3.0f, 0.0f, 2.0f});

std::map<std::int32_t, double> shares(const SamplingOptions& options, int draws = 20000) {
  std::map<std::int32_t, double> counts;
  for (int step = 0; step < draws; ++step)
    counts[choose_token(kLogits, options, 0, static_cast<std::uint64_t>(step))] += 1.0 / draws;
  return counts;
}

}  // namespace

TEST_CASE("sampler: without temperature the likeliest token wins, ties go to the lower id") {
  CHECK(choose_token(kLogits, {}, 0, 0) == 1);
  CHECK(choose_token(kLogits, {}, 9, 9) == 1);
}

TEST_CASE("sampler: draws follow the softmax of the logits divided by the temperature") {
  for (const double temperature : {0.7, 2.0}) {
    const auto found = shares({.temperature = temperature});
    const at::Tensor expected = at::softmax(kLogits / temperature, 0);
    for (std::int32_t id = 0; id < 5; ++id) {
      INFO(temperature << " " << id);
      const double share = found.count(id) ? found.at(id) : 0;
      CHECK(std::abs(share - expected[id].item<double>()) < 0.012);  // 3.4 standard deviations of 20,000 draws at most
    }
  }
}

TEST_CASE("sampler: the k likeliest, and the likeliest that hold the share p, are all that is drawn") {
  const auto two = shares({.temperature = 1, .top_k = 2});
  CHECK(two.size() == 2);
  CHECK(std::abs(two.at(1) - 0.5) < 0.02);
  // 1 and 2 hold 0.393 each, 4 holds 0.145: the one that passes 0.8 is still in.
  CHECK(shares({.temperature = 1, .top_k = 0, .top_p = 0.8}).size() == 3);
  CHECK(shares({.temperature = 1, .top_k = 0, .top_p = 0.3}).size() == 1);
  // 1 and 2 are equally likely: neither is among the one likeliest without the other.
  CHECK(shares({.temperature = 1, .top_k = 1}).size() == 2);
}

TEST_CASE("sampler: a draw is a function of seed, row and step") {
  const SamplingOptions options{.temperature = 5, .top_k = 0, .top_p = 1, .seed = 4};
  bool any_row = false, any_seed = false;
  for (std::uint64_t step = 0; step < 50; ++step) {
    const std::int32_t token = choose_token(kLogits, options, 1, step);
    CHECK(token == choose_token(kLogits, options, 1, step));
    any_row |= token != choose_token(kLogits, options, 2, step);
    any_seed |= token != choose_token(kLogits, {.temperature = 5, .top_k = 0, .top_p = 1, .seed = 5}, 1, step);
  }
  CHECK(any_row);
  CHECK(any_seed);
}

TEST_CASE("sampler: min_p keeps what is likely enough beside the likeliest") {
  // relative to the likeliest: 1, 1, e^-1 = 0.37, e^-2 = 0.14, e^-3
  CHECK(shares({.temperature = 1, .min_p = 0.3}).size() == 3);
  CHECK(shares({.temperature = 1, .min_p = 0.5}).size() == 2);
}

TEST_CASE("sampler: seen tokens are penalised by the sign of their score") {
  const at::Tensor scores = at::tensor({2.0f, -2.0f, 1.0f, 4.0f});
  penalise_repetition(scores, {0, 1, 1}, {.repetition_penalty = 2});
  CHECK(at::equal(scores, at::tensor({1.0f, -4.0f, 1.0f, 4.0f})));
}

TEST_CASE("sampler: seen tokens that the head has no score for change nothing") {
  const at::Tensor scores = at::tensor({2.0f, -2.0f, 1.0f, 4.0f}), whole = scores.narrow(0, 0, 3);
  penalise_repetition(whole, {3, 1, 3}, {.repetition_penalty = 2});
  penalise_repetition(whole, {1, 3, 1}, {.no_repeat_ngram = 2});
  CHECK(at::equal(scores, at::tensor({2.0f, -4.0f, 1.0f, 4.0f})));
}

TEST_CASE("sampler: no n-gram comes twice") {
  const auto blocked = [](const TokenIds& row, std::int64_t n) {
    const at::Tensor scores = at::zeros({6});
    penalise_repetition(scores, row, {.no_repeat_ngram = n});
    std::vector<int> ids;
    for (int id = 0; id < 6; ++id) {
      if (std::isinf(scores[id].item<float>())) ids.push_back(id);
    }
    return ids;
  };
  CHECK(blocked({1, 2, 3, 1, 2}, 3) == std::vector<int>{3});
  CHECK(blocked({1, 2, 3, 1, 2, 4, 1, 2}, 3) == std::vector<int>{3, 4});
  CHECK(blocked({1, 2}, 3).empty());
  CHECK(blocked({1, 4}, 1) == std::vector<int>{1, 4});
}
