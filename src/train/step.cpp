#include "train/step.h"

#include <algorithm>
#include <cmath>

#include "train/loss_gradient.h"

namespace lora {

StepResult run_step(const Session& session, Trainee& trainee, const Update& update, Layout layout,
                    double learning_rate) {
  StepResult result;
  trainee.set_training(true);
  trainee.optimizer().zero_grad();
  for (const auto& rows : update.micro_batches) {
    const Batch batch = micro_batch(session, rows, layout);
    result.tokens += batch.real_tokens;
    result.longest = std::max(result.longest, batch.time);
    if (batch.labelled == 0) continue;
    result.labelled += batch.labelled;
    result.loss_sum += add_loss_gradient(trainee.executable(), batch, session.classification());
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
