#pragma once

#include <cstdint>

namespace lora {

/// Label of a token on which no loss is taken; the value that PyTorch's cross entropy ignores.
inline constexpr std::int32_t kIgnoredLabel = -100;

}  // namespace lora
