#include "eval/head_parts.h"

#include <ATen/ATen.h>

#include <algorithm>

namespace lora {
namespace {

/// 512 x 49,152 logits are 96 MiB.
constexpr std::int64_t kRows = 512;

}  // namespace

void for_each_head_part(const at::Tensor& rows,
                        const std::function<void(std::int64_t, const at::Tensor&)>& visit) {
  for (std::int64_t begin = 0; begin < rows.size(0); begin += kRows)
    visit(begin, rows.narrow(0, begin, std::min(kRows, rows.size(0) - begin)));
}

}  // namespace lora
