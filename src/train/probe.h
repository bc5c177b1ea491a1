#pragma once

#include <cstdint>
#include <vector>

#include "lora/data/batch.h"
#include "train/session.h"
#include "train/trainee.h"

namespace lora {

/// One forward and backward pass, measured.
struct Probe {
  std::int64_t rows = 0, time = 0;
  double seconds = 0;
  std::uint64_t peak_bytes = 0;  ///< tensors that the pass allocated, at their highest
};

/// Row numbers of the micro-batch with the most positions among the first epoch's updates by so many lanes.
std::vector<std::size_t> largest_micro_batch(const Session& session, const Sampler& sampler, int lanes);

/// Measures a pass over these rows, the second of two. Trained
/// values stay as they are, gradients are zero afterwards.
Probe measure_pass(const Session& session, Trainee& trainee, const std::vector<std::size_t>& rows,
                   Layout layout);

/// A pass over all `rows`, extrapolated from passes over one and two samples of the longest: activations and
/// logits grow with the positions, temporaries of weights do not.
Probe estimate_pass(const Session& session, Trainee& trainee, const std::vector<std::size_t>& rows,
                    Layout layout);

/// Tensors that the largest batch of validation rows allocates, extrapolated in the same way.
std::uint64_t validation_bytes(const Session& session, Trainee& trainee);

}  // namespace lora
