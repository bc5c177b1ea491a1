#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace lora {

/// The format allows no larger header.
constexpr std::uint64_t kMostHeaderBytes = 100'000'000;
/// Bytes of the header's length before it; the header is padded to a multiple of the same.
constexpr std::size_t kLengthBytes = 8;
constexpr const char* kMetadataKey = "__metadata__";

/// "F32" of float32; empty for a type that the format lacks.
std::string_view dtype_name(at::ScalarType type);
/// Place of a type's tensors in a file: wider ones first, as the reference writer has them.
std::size_t dtype_order(at::ScalarType type);
std::optional<at::ScalarType> dtype_of(std::string_view name);

}  // namespace lora
