#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>

#include "merge/task_vectors.h"
#include "support/catch.h"
#include "support/errors.h"

using namespace lora;
using namespace lora::test;

namespace {

at::Tensor merged(const TaskMerge& merge, const std::vector<at::Tensor>& updates,
                  const std::vector<double>& factors, std::uint64_t seed = 1) {
  at::Generator generator = at::detail::createCPUGenerator(seed);
  return merge_task_vectors(merge, updates, factors, generator);
}

at::Tensor row(const std::vector<double>& values) { return at::tensor(values, at::kDouble).view({1, -1}); }

}  // namespace

TEST_CASE("task vectors: TIES trims, elects signs by the sum and averages those that agree") {
  // After trimming to 3 of 4: [4, -1, 2, 0] and [-3, -2, 0, 5]; sums 1, -3, 2, 5 elect + - + +.
  const std::vector<at::Tensor> updates = {row({4, -1, 2, 0.5}), row({-3, -2, 1, 5})};
  CHECK(at::equal(merged({"ties", 0.75}, updates, {1, 1}), row({4, -1.5, 2, 5})));
  CHECK(at::equal(merged({"ties", 0.75}, updates, {2, 1}), row({8, -2, 4, 5})));
}

TEST_CASE("task vectors: a negative factor negates before signs are elected") {
  const std::vector<at::Tensor> updates = {row({1, 2}), row({3, -1})};
  CHECK(at::equal(merged({"ties", 1}, updates, {1, -1}), row({-3, 1.5})));
}

TEST_CASE("task vectors: magnitude pruning keeps the largest elements of each") {
  const std::vector<at::Tensor> updates = {row({4, -1, 2, 0.5}), row({-3, -2, 1, 5})};
  CHECK(at::equal(merged({"magnitude_prune", 0.5}, updates, {1, 10}), row({-26, 0, 2, 50})));
}

TEST_CASE("task vectors: DARE drops by chance, rescales, keeps the expectation, and is reproducible") {
  const at::Tensor ones = at::ones({200, 200}, at::kDouble);
  const at::Tensor dropped = merged({"dare_linear", 0.25}, {ones}, {1});
  CHECK(at::logical_or(dropped.eq(0), dropped.eq(4)).all().item<bool>());
  // The mean of 40 000 values of 4 with probability 1/4 has the standard deviation sqrt(3) / 200.
  CHECK(std::abs(dropped.mean().item<double>() - 1) < 5 * std::sqrt(3.0) / 200);
  CHECK(at::equal(dropped, merged({"dare_linear", 0.25}, {ones}, {1})));
  CHECK_FALSE(at::equal(dropped, merged({"dare_linear", 0.25}, {ones}, {1}, 2)));
  // Two tasks drop independently, and the disjoint mean of equal signs never exceeds one task's value.
  const at::Tensor both = merged({"dare_ties", 0.25}, {ones, ones}, {1, 1});
  CHECK(both.eq(4).sum().item<double>() / 40000 == Catch::Detail::Approx(7.0 / 16).epsilon(0.05));
}

TEST_CASE("task vectors: with density 1 nothing is dropped") {
  const std::vector<at::Tensor> updates = {row({4, -1}), row({-3, -2})};
  for (const char* method : {"sum", "dare_linear", "magnitude_prune"})
    CHECK(at::equal(merged({method, 1}, updates, {1, 2}), row({-2, -5})));
  CHECK(at::equal(merged({"dare_ties", 1}, updates, {1, 1}), merged({"ties", 1}, updates, {1, 1})));
}

TEST_CASE("task vectors: averages divide by the sum of the weights, which must not be zero") {
  CHECK(task_factors({"average", 1}, {1, 3}) == std::vector<double>{0.25, 0.75});
  CHECK(task_factors({"ties", 1}, {1, 3}) == std::vector<double>{1, 3});
  require_error([] { task_factors({"average", 1}, {1, -1}); }, ExitCode::usage, {"sum to zero"});
}
