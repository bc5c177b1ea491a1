#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "lora/tokenizer/tokenizer.h"

namespace lora {

struct SamplingOptions {
  double temperature = 0;  ///< 0: the likeliest token
  std::int64_t top_k = 0;  ///< 0: all
  double top_p = 1, min_p = 0;
  double repetition_penalty = 1;
  std::int64_t no_repeat_ngram = 0;  ///< 0: allowed
  std::uint64_t seed = 42;
};

/// Changes scores (float32 [vocabulary] on the CPU, logits or log-probabilities) by what the row already
/// holds, as transformers' processors: a seen token's score s becomes s / penalty if positive, else s *
/// penalty; a token that would repeat an n-gram gets -inf. Ids beyond the vocabulary have no score.
void penalise_repetition(const at::Tensor& scores, const TokenIds& row, const SamplingOptions& options);

/// Tokens that can be drawn, the likeliest first, ties by rising id. A token's probability is its weight /
/// total.
struct DrawnTokens {
  std::vector<std::int32_t> ids;
  std::vector<double> weights;
  double total = 0;
};

/// What is drawn from at a temperature above 0, given scores as above. As transformers' processors:
/// temperature, then the k likeliest and those that equal the last of them, then the likeliest that together
/// hold top_p (the one that passes it included), then those at least min_p times as likely as the likeliest.
DrawnTokens drawn_tokens(const at::Tensor& scores, const SamplingOptions& options);

/// The next token given scores as above: at temperature 0 the likeliest, of equal ones that of the lower id.
/// A draw is a pure function of the seed, the row and the step.
std::int32_t choose_token(const at::Tensor& scores, const SamplingOptions& options, std::uint64_t row,
                          std::uint64_t step);

}  // namespace lora
