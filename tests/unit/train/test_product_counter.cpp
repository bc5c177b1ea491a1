#include <ATen/ATen.h>

#include "lora/kernels/attention.h"
#include "support/catch.h"
#include "train/product_counter.h"

using namespace lora;

namespace {

/// Operations that attention and its gradients count, of two heads of 16 queries and keys.
ProductCount attention_count(at::ScalarType type) {
  const auto operand = [&] { return at::randn({3, 2, 16, 16}, type).set_requires_grad(true); };
  const at::Tensor q = operand(), k = operand(), v = operand();
  const ProductCounter counter;
  attention(q, k, v, plan_attention(16, 16, /*causal=*/true), std::nullopt).sum().backward();
  return counter.count();
}

}  // namespace

TEST_CASE("product counter: matrix products count two for each multiplication") {
  const ProductCounter counter;
  at::mm(at::ones({3, 5}), at::ones({5, 7}));
  CHECK(counter.count().gemm == 2 * 3 * 5 * 7);
  CHECK(counter.count().attention == 0);
}

TEST_CASE("product counter: attention of ours counts what LibTorch's does") {
  const std::int64_t scores = 3 * 2 * (16 * 17 / 2);
  CHECK(attention_count(at::kFloat).attention == (2 + 5) * 2 * 16 * scores);   // in tiles
  CHECK(attention_count(at::kDouble).attention == (2 + 5) * 2 * 16 * scores);  // LibTorch's
}
