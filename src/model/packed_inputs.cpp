#include "model/packed_inputs.h"

#include <ATen/ATen.h>

#include <numeric>

#include "lora/base/error.h"
#include "lora/base/text.h"

namespace lora {

std::vector<c10::IValue> packed_inputs(const ModelInputs& inputs) {
  const std::int64_t time = inputs.input_ids.size(1);
  const std::int64_t sum = std::accumulate(inputs.documents.begin(), inputs.documents.end(), std::int64_t{0});
  if (inputs.input_ids.size(0) != 1 || sum != time)
    throw Error(ExitCode::internal, cat("documents of ", sum, " tokens in a row of ", time));
  const at::Tensor mask = at::zeros({time, time}, at::kBool), positions = at::empty({time}, at::kLong);
  std::int64_t begin = 0;
  for (const std::int64_t length : inputs.documents) {
    mask.narrow(0, begin, length)
        .narrow(1, begin, length)
        .copy_(at::ones({length, length}, at::kBool).tril());
    positions.narrow(0, begin, length).copy_(at::arange(length));
    begin += length;
  }
  const at::Device device = inputs.input_ids.device();
  return {inputs.input_ids, mask.reshape({1, 1, time, time}).to(device), positions.unsqueeze(0).to(device)};
}

}  // namespace lora
