#include "checkpoint/content_hash.h"

#include <ATen/ATen.h>

#include "checkpoint/safetensors_format.h"
#include "lora/base/sha256.h"
#include "lora/base/text.h"

namespace lora {
namespace {

/// Text with its length before it, so that no two sequences of texts look alike.
std::string framed(std::string_view text) { return cat(text.size(), ":", text); }

}  // namespace

std::string content_hash(const SafetensorsFile& file) {
  Sha256 hash;
  hash.update(cat("metadata ", file.metadata.size() - file.metadata.count(kContentHashKey), "\n"));
  for (const auto& [key, value] : file.metadata) {
    if (key != kContentHashKey) hash.update(framed(key)).update(framed(value));
  }
  hash.update(cat("tensors ", file.tensors.size(), "\n"));
  for (const auto& [name, tensor] : file.tensors) {
    const at::Tensor value = tensor.detach().cpu().contiguous();
    hash.update(framed(name))
        .update(cat(dtype_name(value.scalar_type()), "[", join(value.sizes(), ","), "]"));
    hash.update(value.const_data_ptr(), value.nbytes());
  }
  return hash.hex();
}

}  // namespace lora
