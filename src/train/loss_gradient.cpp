#include "train/loss_gradient.h"

#include <ATen/ATen.h>

#include <cmath>

#include "eval/device_batch.h"
#include "eval/head_parts.h"
#include "lora/base/error.h"
#include "lora/base/process.h"
#include "lora/base/text.h"
#include "lora/kernels/cross_entropy.h"

namespace lora {
namespace {

[[noreturn]] void out_of_memory(const Batch& batch) {
  throw Error(ExitCode::memory,
              cat("not enough memory for a micro-batch of ", batch.rows, " x ", batch.time, " tokens (",
                  human_bytes(resident_bytes()), " in use, ", human_bytes(available_bytes()), " available)"),
              "lower --batch-tokens (the update stays the same, in more parts) or --max-length");
}

/// The whole pass as one graph.
double loss_at_once(const at::Tensor& logits, const at::Tensor& targets) {
  const at::Tensor loss = cross_entropy_sum(logits, targets);
  const double value = loss.item<double>();
  if (std::isfinite(value)) loss.backward();
  return value;
}

double loss_by_parts(const Executable& executable, const Batch& batch) {
  const at::Tensor rows = executable.before_head(batch.inputs, batch.positions);
  std::vector<at::Tensor> gradients;
  double sum = 0;
  for_each_head_part(rows.detach(), [&](std::int64_t begin, const at::Tensor& part) {
    at::Tensor leaf = part.detach().set_requires_grad(rows.requires_grad());
    const at::Tensor targets = batch.targets.narrow(0, begin, leaf.size(0));
    sum += loss_at_once(executable.head(leaf), targets);
    if (leaf.grad().defined()) gradients.push_back(leaf.grad());
  });
  if (rows.requires_grad() && std::isfinite(sum)) rows.backward(at::cat(gradients));
  return sum;
}

}  // namespace

Batch micro_batch(const Session& session, const std::vector<const EncodedRow*>& rows, Layout layout) {
  return to_device(make_batch(rows, session.model.pad_id(), session.classification(), layout),
                   session.model.program.device());
}

Batch micro_batch(const Session& session, const std::vector<std::size_t>& rows, Layout layout) {
  return micro_batch(session, pick(session.rows.rows, rows), layout);
}

double add_loss_gradient(const Executable& executable, const Batch& batch, bool classification) {
  try {
    if (classification) return loss_at_once(executable.logits(batch.inputs), batch.targets);
    if (executable.splits_at_head()) return loss_by_parts(executable, batch);
    return loss_at_once(executable.logits_at(batch.inputs, batch.positions), batch.targets);
  } catch (const std::exception& error) {
    if (is_out_of_memory(error)) out_of_memory(batch);
    throw;
  }
}

}  // namespace lora
