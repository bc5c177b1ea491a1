#pragma once

#include <cstdint>
#include <vector>

#include "kernels/lanes.h"
#include "lora/data/batch.h"
#include "train/gradient_sum.h"
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

/// Makes updates. Their rows are shared among `lanes`, threads that each pass their micro-batches forward and
/// backward at the same time; gradients are summed in the order of the lanes.
class Stepper {
 public:
  Stepper(const Session& session, Trainee& trainee, Layout layout, int lanes = 1, Profile* profile = nullptr);

  int lanes() const { return lanes_.count(); }

  /// One optimizer update of token-weighted accumulation, on the share of this rank, by lane:
  /// gradient = (sum over micro-batches of the gradient of the summed loss) / (labelled positions of the
  /// whole update), so that the split into micro-batches changes nothing. `number` of the update and the seed
  /// decide what dropout drops.
  ///
  /// Micro-batches run in `parts` parts. Where memory runs out the update begins again with twice as many,
  /// and `parts` stays so; memory error, with nothing changed, if single rows are too much.
  StepResult run(const std::vector<Update>& update, std::int64_t number, double learning_rate,
                 std::int64_t& parts);

 private:
  StepResult accumulate(const std::vector<Update>& update, std::int64_t number);
  StepResult accumulate_lane(const Update& rows, GradientSum& gradients, Profile* profile) const;
  StepResult accumulate_in_parts(const std::vector<Update>& update, std::int64_t number, std::int64_t& parts);

  const Session& session_;
  Trainee& trainee_;
  Layout layout_;
  Profile* profile_;
  std::vector<GradientSum> gradients_;  ///< of each lane; the first adds to the optimizer's own
  Lanes lanes_;
};

}  // namespace lora
