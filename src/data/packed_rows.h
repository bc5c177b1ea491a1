#pragma once

#include <string>
#include <string_view>

#include "lora/data/encode.h"

namespace lora {

/// Rows and report as bytes, in this machine's order of bytes: for a cache, which tells damaged ones from
/// whole ones.
std::string pack_rows(const EncodedSet& set);

/// What pack_rows() was given. internal error if the bytes end too early or too late.
EncodedSet unpack_rows(std::string_view bytes);

}  // namespace lora
