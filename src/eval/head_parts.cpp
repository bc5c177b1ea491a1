#include "eval/head_parts.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>

namespace lora {
namespace {

/// For each thread that works on them: 256 x 49,152 logits are 48 MiB.
constexpr std::int64_t kRows = 256, kMostRows = 512;

}  // namespace

void for_each_head_part(const at::Tensor& rows,
                        const std::function<void(std::int64_t, const at::Tensor&)>& visit) {
  const std::int64_t most = std::min(kMostRows, kRows * at::get_num_threads());
  for (std::int64_t begin = 0; begin < rows.size(0); begin += most)
    visit(begin, rows.narrow(0, begin, std::min(most, rows.size(0) - begin)));
}

}  // namespace lora
