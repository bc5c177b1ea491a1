#pragma once

#include <c10/core/ScalarType.h>

#include <array>

namespace lora {

/// A type of numbers as pickles of torch name it.
struct StorageKind {
  const char* name;  ///< of torch's class
  c10::ScalarType type;
};
inline constexpr std::array kStorages = {
    StorageKind{"FloatStorage", c10::kFloat},       StorageKind{"HalfStorage", c10::kHalf},
    StorageKind{"BFloat16Storage", c10::kBFloat16}, StorageKind{"DoubleStorage", c10::kDouble},
    StorageKind{"LongStorage", c10::kLong},         StorageKind{"IntStorage", c10::kInt},
    StorageKind{"BoolStorage", c10::kBool}};

}  // namespace lora
