#include "eval/device_batch.h"

#include <ATen/ATen.h>

namespace lora {

std::vector<const EncodedRow*> pick(const std::vector<EncodedRow>& rows,
                                    const std::vector<std::size_t>& numbers) {
  std::vector<const EncodedRow*> picked;
  picked.reserve(numbers.size());
  for (std::size_t number : numbers) picked.push_back(&rows.at(number));
  return picked;
}

at::Tensor to_device(const at::Tensor& tensor, at::Device device) {
  return device.is_cuda() ? tensor.pin_memory().to(device, /*non_blocking=*/true) : tensor.to(device);
}

Batch to_device(Batch batch, at::Device device) {
  for (at::Tensor* tensor : {&batch.inputs.input_ids, &batch.inputs.attention_mask,
                             &batch.inputs.token_type_ids, &batch.positions, &batch.targets}) {
    if (tensor->defined()) *tensor = to_device(*tensor, device);
  }
  return batch;
}

}  // namespace lora
