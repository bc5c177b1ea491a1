#pragma once

#include <ATen/core/Tensor.h>

namespace lora {

/// Root-mean-square norm over the last dimension (Zhang & Sennrich 2019, arXiv:1910.07467) with the weight
/// shifted by `offset` (0, or 1 as in Gemma): y = x / sqrt(mean(x^2) + epsilon) * (weight + offset). x [...,
/// d] and weight [d] -> y [..., d]. Keeps x and one number a row for the backward pass. Float32 on the CPU;
/// anything else goes the reference's way.
at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double epsilon, double offset);

/// The same by single ATen operations: the oracle.
at::Tensor rms_norm_reference(const at::Tensor& x, const at::Tensor& weight, double epsilon, double offset);

}  // namespace lora
