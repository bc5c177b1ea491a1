#include "model/fingerprint.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "lora/base/sha256.h"
#include "lora/base/text.h"

namespace lora {

std::string fingerprint_weights(const std::vector<Weight>& weights) {
  std::vector<const Weight*> sorted;
  for (const Weight& weight : weights) sorted.push_back(&weight);
  std::sort(sorted.begin(), sorted.end(), [](const Weight* a, const Weight* b) { return a->path < b->path; });
  Sha256 hash;
  for (const Weight* weight : sorted) {
    const at::Tensor value = weight->value.detach().cpu().contiguous();
    hash.update(cat(weight->path, "|", value.dtype().name(), "|", join(value.sizes(), "x"), "|"));
    hash.update(value.const_data_ptr(), value.nbytes());
  }
  return hash.hex();
}

}  // namespace lora
