#pragma once

#include <utility>
#include <vector>

#include "eval/comparison.h"
#include "eval/latency_shapes.h"
#include "eval/variant.h"
#include "lora/config/eval_config.h"
#include "lora/data/batch.h"

namespace lora {

/// Variants that are timed in turn, and where their times go.
using TimedVariants = std::vector<std::pair<const Variant*, VariantResult*>>;

/// What the variants of a base are timed on: the first rows of the data, the shapes of forward passes, and
/// those of prompts that are written on.
class VariantLatency {
 public:
  /// usage error for shapes that do not fit the model; those that a model which does not tell its context
  /// cannot run are left out with a warning.
  VariantLatency(const CompareConfig& config, const EncodedSet& rows, const LoadedModel& base);

  /// Names the shapes in `comparison`.
  void describe(Comparison& comparison) const;
  /// Sets latency and interleaved.
  void time_batch(const TimedVariants& group) const;
  /// Sets latencies, and decode_latencies of those with a cache.
  void time_shapes(const TimedVariants& group) const;

 private:
  std::vector<Latency> forward_passes(const TimedVariants& group, const ModelInputs& inputs) const;
  void time_decoding(const TimedVariants& group) const;

  const LoadedModel& base_;
  std::int64_t repeats_;
  Batch batch_;
  std::vector<BatchShape> forward_shapes_, decode_shapes_;
};

}  // namespace lora
