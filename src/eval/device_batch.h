#pragma once

#include <cstdint>
#include <vector>

#include "lora/data/batch.h"

namespace lora {

/// The rows with these numbers.
std::vector<const EncodedRow*> pick(const std::vector<EncodedRow>& rows,
                                    const std::vector<std::size_t>& numbers);

/// The batch with its tensors on `device`; undefined ones stay undefined.
Batch to_device(Batch batch, at::Device device);

}  // namespace lora
