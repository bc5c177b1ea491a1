#include <ATen/ATen.h>

#include <cmath>

#include "lora/kernels/round_update.h"
#include "support/catch.h"

using namespace lora;

namespace {

/// Several chunks; every tenth element has no update, others updates of many sizes.
std::pair<at::Tensor, at::Tensor> weight_and_goal(at::ScalarType type) {
  at::manual_seed(3);
  const at::Tensor base = (at::randn({300, 700}) * 0.02).to(type);
  at::Tensor update =
      at::randn({300, 700}, at::kDouble) * at::pow(10., -at::rand({300, 700}, at::kDouble) * 8);
  update.view(-1).slice(0, 0, std::nullopt, 10).zero_();
  return {base, base.to(at::kDouble) + update};
}

}  // namespace

TEST_CASE("round update: values and counts equal the reference, sums to rounding") {
  for (const at::ScalarType type : {at::kDouble, at::kFloat, at::kHalf, at::kBFloat16}) {
    INFO(at::toString(type));
    const auto [base, goal] = weight_and_goal(type);
    const RoundedUpdate ours = round_update(base, goal), plain = round_update_reference(base, goal);
    CHECK(at::equal(ours.value, plain.value));
    CHECK(ours.largest_change == plain.largest_change);
    CHECK(ours.updated == plain.updated);
    CHECK(ours.updated > 0);
    CHECK(ours.swallowed == plain.swallowed);
    CHECK(std::abs(ours.update_square - plain.update_square) < 1e-12 * plain.update_square);
    CHECK(std::abs(ours.lost_square - plain.lost_square) <= 1e-12 * plain.lost_square);
    CHECK(ours.finite);
  }
}

TEST_CASE("round update: a sum beyond the type's range is called not finite") {
  const at::Tensor base = at::ones({4}, at::kHalf);
  CHECK_FALSE(round_update(base, at::full({4}, 1e6, at::kDouble)).finite);
  CHECK_FALSE(round_update_reference(base, at::full({4}, 1e6, at::kDouble)).finite);
}
