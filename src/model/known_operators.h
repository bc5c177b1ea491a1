#pragma once

#include <string_view>

namespace lora {

/// Operators of LibTorch's namespaces aten and prim that exported models call: calculation on tensors,
/// numbers, texts and containers. None of them reaches the file system, other processes or the state of this
/// one beyond random numbers and whether gradients are recorded.
bool is_known_aten(std::string_view name);
bool is_known_prim(std::string_view name);

}  // namespace lora
