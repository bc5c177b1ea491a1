#pragma once

#include <cstdint>
#include <vector>

#include "lora/data/batch.h"
#include "train/session.h"
#include "train/trainee.h"

namespace lora {

class Profile;

/// What one update did.
struct StepResult {
  double loss_sum = 0;         ///< nats, over all labelled positions
  double gradient_norm = 0;    ///< of the mean loss, before clipping
  std::int64_t tokens = 0;     ///< real ones, padding not counted
  std::int64_t positions = 0;  ///< computed ones, padding counted
  std::int64_t labelled = 0;
  std::int64_t longest = 0;  ///< time of the longest micro-batch
  bool finite = true;        ///< false: loss or gradient is NaN or Inf, and nothing was changed
  bool overflowed = false;   ///< the gradient, for want of range: the loss scale is now lower
  double loss() const { return loss_sum / static_cast<double>(labelled > 0 ? labelled : 1); }
};

/// The same rows with every micro-batch in `parts`, or in single rows if it has fewer.
Update split(const Update& update, std::int64_t parts);

/// One optimizer update of token-weighted accumulation, on `update`, which is the share of this rank:
/// gradient = (sum over micro-batches of the gradient of the summed loss) / (labelled positions of the whole
/// update), so that the split into micro-batches changes nothing.
///
/// Micro-batches run in `parts` parts. Where memory runs out the update begins again with twice as many, and
/// `parts` stays so; memory error, with nothing changed, if single rows are too much.
StepResult run_step(const Session& session, Trainee& trainee, const Update& update, Layout layout,
                    double learning_rate, std::int64_t& parts, Profile* profile = nullptr);

}  // namespace lora
