#include <ATen/ATen.h>

#include <cstdint>

#include "programs/allocation.h"
#include "support/catch.h"

using namespace lora;

TEST_CASE("allocation: large tensors take the places of those that went, and small ones work as ever") {
  settle_allocation();
  constexpr std::int64_t kCount = 1 << 20;
  at::Tensor large = at::ones({kCount}), wall = at::ones({kCount});
  const void* const place = large.data_ptr();
  CHECK(reinterpret_cast<std::uintptr_t>(place) % 4096 == 0);
  large = at::Tensor();
  const at::Tensor next = at::zeros({kCount});
  CHECK(next.data_ptr() == place);
  CHECK(wall.sum().item<float>() == kCount);
  CHECK(next.sum().item<float>() == 0);
  CHECK(at::ones({3}).sum().item<float>() == 3);
  CHECK(at::empty({0}).numel() == 0);
}
