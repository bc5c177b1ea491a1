#pragma once

#include <string>

#include "lora/checkpoint/safetensors.h"

namespace lora {

/// Metadata key of the hash; left out of it.
constexpr const char* kContentHashKey = "lora.sha256";

/// SHA-256 of everything that a safetensors file says, in a form that does not depend on its layout: each
/// piece of metadata, and each tensor's name, dtype, shape and bytes, sorted by name and each with its length
/// before it.
std::string content_hash(const SafetensorsFile& file);

}  // namespace lora
