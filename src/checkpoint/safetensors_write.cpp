#include <ATen/ATen.h>

#include <algorithm>
#include <vector>

#include "base/json.h"
#include "checkpoint/safetensors_format.h"
#include "lora/base/error.h"
#include "lora/base/text.h"
#include "lora/checkpoint/safetensors.h"

namespace lora {
namespace {

using Named = std::pair<std::string, at::Tensor>;

/// By dtype, wider ones first, so that every tensor is aligned; then by name.
std::vector<Named> in_file_order(const TensorMap& tensors) {
  std::vector<Named> ordered;
  for (const auto& [name, tensor] : tensors) {
    if (dtype_name(tensor.scalar_type()).empty()) {
      throw Error(ExitCode::internal,
                  cat("tensor \"", name, "\": safetensors has no type ", tensor.dtype().name()));
    }
    ordered.emplace_back(name, tensor.detach().cpu().contiguous());
  }
  std::stable_sort(ordered.begin(), ordered.end(), [](const Named& a, const Named& b) {
    return dtype_order(a.second.scalar_type()) < dtype_order(b.second.scalar_type());
  });
  return ordered;
}

}  // namespace

std::string serialize_safetensors(const SafetensorsFile& file) {
  const std::vector<Named> ordered = in_file_order(file.tensors);
  Json header = Json::object();
  if (!file.metadata.empty()) header[kMetadataKey] = file.metadata;
  std::uint64_t size = 0;
  for (const auto& [name, tensor] : ordered) {
    header[name] = {{"dtype", dtype_name(tensor.scalar_type())},
                    {"shape", tensor.sizes().vec()},
                    {"data_offsets", {size, size + tensor.nbytes()}}};
    size += tensor.nbytes();
  }
  std::string text = header.dump();
  text.resize((text.size() + kLengthBytes - 1) / kLengthBytes * kLengthBytes, ' ');
  const std::uint64_t length = text.size();
  std::string bytes(reinterpret_cast<const char*>(&length), kLengthBytes);
  bytes.reserve(kLengthBytes + text.size() + size);
  bytes += text;
  for (const auto& [name, tensor] : ordered) {
    bytes.append(static_cast<const char*>(tensor.const_data_ptr()), tensor.nbytes());
  }
  return bytes;
}

}  // namespace lora
