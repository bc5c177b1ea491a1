#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <variant>

#include "lora/checkpoint/safetensors.h"

namespace lora {

/// A value of GGUF's metadata; arrays and other types are read over.
using GgufValue = std::variant<bool, std::int64_t, double, std::string>;

/// llama.cpp's container, version 3: metadata and tensors of type F32, F16 and BF16. Shapes are torch's, the
/// reverse of the file's.
struct GgufFile {
  std::map<std::string, GgufValue> metadata;
  TensorMap tensors;
};

/// file error naming the byte for everything that does not belong there; nothing is allocated that the file
/// does not hold.
GgufFile parse_gguf(std::string_view bytes, const std::string& place);

/// Whole numbers become u32, others f32.
std::string serialize_gguf(const GgufFile& file);

}  // namespace lora
