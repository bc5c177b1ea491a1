#pragma once

#include <cstddef>

namespace lora::fuzz {

/// Counts what this process has allocated (malloc, new, tensors). Not in builds with sanitizers, which have
/// an allocator of their own.
struct AllocationMeter {
  static bool works();
  static std::size_t now();
  /// The highest value since restart().
  static std::size_t peak();
  static void restart();
};

}  // namespace lora::fuzz
