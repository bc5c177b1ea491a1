#include "merge/verify_merge.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>

#include "adapter/merge.h"
#include "adapter/weights_in_place.h"
#include "lora/base/random.h"

namespace lora {
namespace {

/// Lengths of the probe's rows: short, because some models know few positions.
constexpr std::int64_t kLengths[] = {8, 5, 2};
constexpr std::uint64_t kProbeSeed = 1;

ModelInputs probe_inputs(const ModelInfo& info) {
  const auto rows = static_cast<std::int64_t>(std::size(kLengths));
  const std::int64_t most = info.context_length > 0 ? info.context_length : kLengths[0];
  const std::int64_t time = std::min(kLengths[0], most);
  const CounterRandom random(kProbeSeed, 0);
  const auto vocabulary = static_cast<std::uint64_t>(std::max<std::int64_t>(info.vocab_size, 2));
  ModelInputs inputs{at::zeros({rows, time}, at::kLong), at::zeros({rows, time}, at::kLong), {}};
  std::uint64_t counter = 0;
  for (std::int64_t row = 0; row < rows; ++row) {
    for (std::int64_t t = 0; t < std::min(kLengths[row], time); ++t) {
      inputs.input_ids[row][t] = static_cast<std::int64_t>(random.below(counter++, vocabulary));
      inputs.attention_mask[row][t] = 1;
    }
  }
  return inputs;
}

/// Padding positions of a language model are nobody's output.
at::Tensor real_logits(const Executable& executable, const ModelInputs& inputs, Task task) {
  const at::Tensor logits = executable.logits(inputs).to(at::kDouble);
  if (has_text_head(task)) return logits;
  return logits.flatten(0, 1).index_select(0, inputs.attention_mask.flatten().nonzero().flatten());
}

}  // namespace

ProbedLogits probe_live(Program& program, const AdapterMix& mix) {
  const at::NoGradGuard no_grad;
  const WeightsInPlace whole(program, whole_weights(mix));
  ProbedLogits probed;
  probed.inputs = probe_inputs(program.info());
  probed.rows = probed.inputs.input_ids.size(0);
  probed.tokens = probed.inputs.attention_mask.sum().item<std::int64_t>();
  const Executable live = program.executable(make_hooks(mix));
  probed.logits = real_logits(live, probed.inputs, program.info().task);
  return probed;
}

LogitDifference compare_with(const ProbedLogits& expected, const Program& program) {
  const at::NoGradGuard no_grad;
  const at::Tensor logits = real_logits(program.executable(), expected.inputs, program.info().task);
  LogitDifference difference;
  difference.largest = (logits - expected.logits).abs().max().item<double>();
  const double scale = expected.logits.abs().max().item<double>();
  difference.relative = difference.largest > 0 ? difference.largest / scale : 0;
  return difference;
}

double merge_tolerance(at::ScalarType type) {
  // float32 sums in another order differ by about 1e-6; the coarser types round every merged weight once, to
  // 2^-11 and 2^-8 of itself, while the unmerged branch is exact.
  if (type == at::kHalf) return 1e-2;
  if (type == at::kBFloat16) return 5e-2;
  return 1e-4;
}

}  // namespace lora
