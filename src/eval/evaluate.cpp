#include "lora/eval/evaluate.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <cmath>

#include "eval/device_batch.h"
#include "lora/base/error.h"
#include "lora/kernels/cross_entropy.h"

namespace lora {

Quality evaluate_loss(const Executable& executable, const std::vector<EncodedRow>& rows, Task task,
                      std::int32_t pad_id, std::int64_t max_tokens, at::Device device) {
  const at::NoGradGuard no_grad;
  const bool classification = task == Task::classification;
  Quality quality;
  double sum = 0;
  std::int64_t right = 0;
  for (const auto& numbers : evaluation_batches(rows, max_tokens)) {
    const Batch batch = to_device(make_batch(pick(rows, numbers), pad_id, classification), device);
    quality.rows += batch.rows;
    quality.labelled += batch.labelled;
    if (batch.labelled == 0) continue;
    const at::Tensor logits = classification ? executable.logits(batch.inputs)
                                             : executable.logits_at(batch.inputs, batch.positions);
    sum += cross_entropy_sum(logits, batch.targets).item<double>();
    if (classification) right += logits.argmax(1).eq(batch.targets).sum().item<std::int64_t>();
  }
  if (quality.labelled == 0) throw Error(ExitCode::data, "evaluation: no row has a labelled token");
  quality.loss = sum / static_cast<double>(quality.labelled);
  quality.perplexity = std::exp(quality.loss);
  if (classification) quality.accuracy = static_cast<double>(right) / static_cast<double>(quality.rows);
  return quality;
}

}  // namespace lora
