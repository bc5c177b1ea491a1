#include "train/loss_gradient.h"

#include <ATen/ATen.h>

#include <cmath>

#include "eval/device_batch.h"
#include "eval/head_parts.h"
#include "lora/base/error.h"
#include "lora/base/process.h"
#include "lora/base/text.h"
#include "lora/kernels/cross_entropy.h"
#include "train/profile.h"

namespace lora {
namespace {

[[noreturn]] void out_of_memory(const Batch& batch) {
  throw Error(ExitCode::memory,
              cat("not enough memory for a micro-batch of ", batch.rows, " x ", batch.time, " tokens (",
                  human_bytes(resident_bytes()), " in use, ", human_bytes(available_bytes()), " available)"),
              "lower --batch-tokens (the update stays the same, in more parts) or --max-length");
}

/// sum_i (output_i - target_i)^2 of outputs [n, 1].
at::Tensor squared_error_sum(const at::Tensor& outputs, const at::Tensor& targets) {
  return at::mse_loss(outputs.squeeze(1).to(at::kFloat), targets, at::Reduction::Sum);
}

/// A loss, and the gradient of what was asked for.
struct LossGradient {
  double loss;
  at::Tensor of_input;
};

/// Backward from the loss of logits that `logits` makes, to trained tensors and to `input`.
template <class Logits>
LossGradient loss_at_once(Logits logits, const at::Tensor& targets, const Objective& objective,
                          GradientSum& gradients, Profile* profile, const at::Tensor& input = {}) {
  const at::Tensor loss = profiled(profile, Phase::forward, [&] {
    return objective.task == Task::regression
               ? squared_error_sum(logits(), targets)
               : cross_entropy_sum(logits(), targets, objective.label_smoothing);
  });
  const double value = loss.item<double>();
  const Profile::Scope scope(profile, Phase::backward);
  if (!std::isfinite(value)) return {value, {}};
  return {value, gradients.backward(objective.scale == 1 ? loss : loss * objective.scale, {}, input)};
}

double loss_by_parts(const Executable& executable, const Batch& batch, const Objective& objective,
                     GradientSum& gradients, Profile* profile) {
  const at::Tensor rows = profiled(profile, Phase::forward,
                                   [&] { return executable.before_head(batch.inputs, batch.positions); });
  std::vector<at::Tensor> upstream;
  double sum = 0;
  for_each_head_part(rows.detach(), [&](std::int64_t begin, const at::Tensor& part) {
    at::Tensor leaf = part.detach().set_requires_grad(rows.requires_grad());
    const at::Tensor targets = batch.targets.narrow(0, begin, leaf.size(0));
    const auto [loss, gradient] =
        loss_at_once([&] { return executable.head(leaf); }, targets, objective, gradients, profile, leaf);
    sum += loss;
    if (gradient.defined()) upstream.push_back(gradient);
  });
  const Profile::Scope scope(profile, Phase::backward);
  if (rows.requires_grad() && std::isfinite(sum)) gradients.backward(rows, at::cat(upstream));
  return sum;
}

}  // namespace

Objective objective_of(const Session& session) { return {session.task(), session.config.label_smoothing}; }

Batch micro_batch(const Session& session, const std::vector<const EncodedRow*>& rows, Layout layout) {
  return to_device(make_batch(rows, session.model.pad_id(), session.task(), layout),
                   session.model.program.device());
}

Batch micro_batch(const Session& session, const std::vector<std::size_t>& rows, Layout layout) {
  return micro_batch(session, pick(session.rows.rows, rows), layout);
}

double add_loss_gradient(const Executable& executable, const Batch& batch, const Objective& objective,
                         GradientSum& gradients, Profile* profile) {
  try {
    const bool whole = has_text_head(objective.task);
    if (!whole && executable.splits_at_head())
      return loss_by_parts(executable, batch, objective, gradients, profile);
    const auto logits = [&] {
      return whole ? executable.logits(batch.inputs) : executable.logits_at(batch.inputs, batch.positions);
    };
    return loss_at_once(logits, batch.targets, objective, gradients, profile).loss;
  } catch (const std::exception& error) {
    if (is_out_of_memory(error)) out_of_memory(batch);
    throw;
  }
}

}  // namespace lora
