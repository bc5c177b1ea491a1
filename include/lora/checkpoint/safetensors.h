#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <map>
#include <string>

namespace lora {

using TensorMap = std::map<std::string, at::Tensor>;

struct SafetensorsFile {
  TensorMap tensors;
  std::map<std::string, std::string> metadata;
};

/// Strict reader: every defect of the format (overlap, hole, overflow, huge header, trailing bytes, duplicate
/// or unknown keys, wrong sizes) is a file error naming file and tensor, found before memory is allocated for
/// it.
SafetensorsFile read_safetensors(const std::filesystem::path& path);
SafetensorsFile parse_safetensors(std::string_view bytes, const std::string& place);

/// Bytes as the reference writer orders them (wider dtype first, then name), header padded to 8.
std::string serialize_safetensors(const SafetensorsFile& file);

}  // namespace lora
