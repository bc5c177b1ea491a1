#pragma once

#include <ATen/core/Tensor.h>

namespace lora {

/// Sum over rows of -log softmax(logits)[target], Hu et al. 2021 eq. 2 restricted to labelled positions. With
/// `smoothing` e (Szegedy et al. 2016) the target has the probability 1 - e and e is shared by the whole
/// vocabulary: (1 - e) times that, plus e times the mean of -log softmax(logits) over the vocabulary.
/// logits [n, vocabulary] any float dtype, targets int64 [n] -> scalar float32. The gradient is made in
/// the forward pass, in chunks of rows and in place of the logits, so that one [n, vocabulary] tensor lives.
/// Consumes `logits`: its values are overwritten when gradients are wanted.
at::Tensor cross_entropy_sum(const at::Tensor& logits, const at::Tensor& targets, double smoothing = 0);

/// The same by log_softmax and gather: the oracle.
at::Tensor cross_entropy_sum_reference(const at::Tensor& logits, const at::Tensor& targets,
                                       double smoothing = 0);

}  // namespace lora
