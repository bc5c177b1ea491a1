#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace lora {

/// What tells `before` from `after`, both of the same size, made of elements of `width` bytes: their
/// exclusive or, first bytes of all elements first, deflated. Small changes leave sign, exponent and leading
/// bits alone: most planes are nearly all zero.
std::string encode_difference(std::string_view before, std::string_view after, std::size_t width);

/// `before`, from `after` and the difference. file error (naming `place`) if the difference does not belong
/// to that many bytes.
std::string decode_difference(std::string_view difference, std::string_view after, std::size_t width,
                              const std::string& place);

}  // namespace lora
