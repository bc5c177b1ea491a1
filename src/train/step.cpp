#include "train/step.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <new>

#include "eval/device_batch.h"
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

at::Tensor loss_sum(const Executable& executable, const Batch& batch, bool classification) {
  if (classification) return cross_entropy_sum(executable.logits(batch.inputs), batch.targets);
  return cross_entropy_sum(executable.logits_at(batch.inputs, batch.positions), batch.targets);
}

}  // namespace

double accumulate(const Executable& executable, const Batch& batch, bool classification) {
  try {
    const at::Tensor loss = loss_sum(executable, batch, classification);
    const double value = loss.item<double>();
    if (std::isfinite(value)) loss.backward();
    return value;
  } catch (const std::bad_alloc&) {
    out_of_memory(batch);
  } catch (const c10::Error& error) {
    if (says_out_of_memory(error.what_without_backtrace())) out_of_memory(batch);
    throw;
  }
}

Batch micro_batch(const Session& session, const std::vector<std::size_t>& rows) {
  return to_device(
      make_batch(pick(session.rows.rows, rows), session.model.pad_id(), session.classification()),
      session.model.program.device());
}

StepResult run_step(const Session& session, Trainee& trainee, const Update& update, double learning_rate) {
  StepResult result;
  trainee.set_training(true);
  trainee.optimizer().zero_grad();
  for (const auto& rows : update.micro_batches) {
    const Batch batch = micro_batch(session, rows);
    result.tokens += batch.real_tokens;
    result.longest = std::max(result.longest, batch.time);
    if (batch.labelled == 0) continue;
    result.labelled += batch.labelled;
    result.loss_sum += accumulate(trainee.executable(), batch, session.classification());
  }
  trainee.set_training(false);
  if (result.labelled == 0) return result;
  result.finite = std::isfinite(result.loss_sum);
  if (!result.finite) return result;
  result.gradient_norm =
      trainee.optimizer().scale_and_clip(1.0 / static_cast<double>(result.labelled), session.config.clip);
  result.finite = std::isfinite(result.gradient_norm);
  if (result.finite) trainee.optimizer().step(learning_rate);
  return result;
}

}  // namespace lora
