#pragma once

#include <cstdint>
#include <vector>

#include "lora/data/batch.h"

namespace lora {

/// The rows with these numbers.
std::vector<const EncodedRow*> pick(const std::vector<EncodedRow>& rows,
                                    const std::vector<std::size_t>& numbers);

/// A tensor of the host on `device`. To a CUDA device it goes by way of pinned memory, and the host does not
/// wait for it: what is computed there afterwards comes after it.
at::Tensor to_device(const at::Tensor& tensor, at::Device device);

/// The batch with its tensors on `device`; undefined ones stay undefined.
Batch to_device(Batch batch, at::Device device);

}  // namespace lora
