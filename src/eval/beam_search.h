#pragma once

#include <vector>

#include "eval/generation.h"

namespace lora {

struct BeamOptions {
  std::int64_t beams = 4;
  double length_penalty = 1;  ///< a finished beam's score is its log-likelihood / tokens^length_penalty
};

/// Continues each row by its best beam, deterministically. As transformers' beam search without early
/// stopping: of the (1 + number of stop tokens, at least 2) * beams best continuations those that end are
/// kept if they are among the first `beams`; a row is done when its best running beam, scored at its present
/// length, is below all finished ones. The stop token counts as one of a beam's tokens, and is no part of the
/// answer. Errors as check_finite.
void search_beams(RowFeed& feed, std::vector<GeneratedRow>& rows, const GenerationOptions& options,
                  const BeamOptions& beams);

}  // namespace lora
