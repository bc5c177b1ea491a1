#pragma once

#include <ATen/core/Tensor.h>

#include <functional>

namespace lora {

/// Calls visit(first row, rows) for parts of rows [n, d] that enter a model's head, so small that their
/// logits stay small beside the model, and so large that reading the head's weight for each does not matter.
void for_each_head_part(const at::Tensor& rows,
                        const std::function<void(std::int64_t, const at::Tensor&)>& visit);

}  // namespace lora
