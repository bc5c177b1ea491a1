#pragma once

#include <vector>

#include "lora/data/batch.h"
#include "train/gradient_sum.h"
#include "train/session.h"

namespace lora {

class Profile;

/// What training minimises.
struct Objective {
  Task task;
  double label_smoothing = 0;  ///< of cross-entropy
  double scale = 1;            ///< of the gradients
};

Objective objective_of(const Session& session);

/// The micro-batch on the model's device.
Batch micro_batch(const Session& session, const std::vector<const EncodedRow*>& rows, Layout layout);
Batch micro_batch(const Session& session, const std::vector<std::size_t>& rows, Layout layout);

/// Adds the gradients of one micro-batch's summed loss to `gradients`; returns the loss, in nats, or of
/// squared errors of a regressor. A language model's head runs on a part of the labelled positions at a time,
/// forward and backward, so that few logits are there at once; the gradient of what enters the head then goes
/// back through the body. Nothing goes back if the loss is not finite. memory error if it does not fit.
double add_loss_gradient(const Executable& executable, const Batch& batch, const Objective& objective,
                         GradientSum& gradients, Profile* profile = nullptr);

}  // namespace lora
