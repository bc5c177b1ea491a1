#pragma once

#include <cstdint>

/// Before a function of plain loops: compiled for several levels of x86-64, of which the machine's is chosen
/// when the program starts. Levels and not names of processors, which match that very model alone. Other
/// processors, older compilers, and sanitizers (which run before that choice), get the one they were built
/// for.
#if defined(__x86_64__) && defined(__GNUC__) && __GNUC__ >= 12 && !defined(__clang__) && \
    !defined(__SANITIZE_ADDRESS__)
#define LORA_VECTOR_LEVELS
#define LORA_EVERY_VECTOR_WIDTH __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define LORA_EVERY_VECTOR_WIDTH
#endif

/// For what such functions call: a function that is not inlined would be compiled once, for the narrowest
/// level.
#if defined(__GNUC__)
#define LORA_INLINE [[gnu::always_inline]] inline
#else
#define LORA_INLINE inline
#endif

namespace lora {

/// Partial sums of a reduction: as many as the widest register has, added in a fixed order.
constexpr std::int64_t kLanes = 16;

/// e^x within 2 units in the last place, without branches so that loops over it become vector code; x is held
/// within
/// [-87, 88], where float32 neither overflows nor loses digits. Cody & Waite's reduction x = n log 2 + r.
LORA_INLINE float vector_exp(float x) {
  // No std::min, std::max or std::bit_cast: what is inlined late keeps GCC from making vector code.
  const float above = x < -87.0f ? -87.0f : x;
  const float bounded = above > 88.0f ? 88.0f : above;
  const float scaled = bounded * 1.44269504f;
  const auto n = static_cast<std::int32_t>(scaled + (scaled < 0 ? -0.5f : 0.5f));
  const float whole = static_cast<float>(n);
  const float r = (bounded - whole * 0.693359375f) - whole * -2.12194440e-4f;
  float series = 1.0f / 5040;
  series = series * r + 1.0f / 720;
  series = series * r + 1.0f / 120;
  series = series * r + 1.0f / 24;
  series = series * r + 1.0f / 6;
  series = series * r + 0.5f;
  series = series * r + 1.0f;
  series = series * r + 1.0f;
  return series * __builtin_bit_cast(float, (n + 127) << 23);
}

LORA_INLINE float vector_sigmoid(float x) { return 1.0f / (1.0f + vector_exp(-x)); }

}  // namespace lora
