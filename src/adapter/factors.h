#pragma once

#include "lora/adapter/method.h"

namespace lora {

/// The trained factors A [r, in] and B [out, r] of a low-rank product, float32, by PEFT's leaf names. An
/// embedding has its rows as `in` and its features as `out`. A slice of a fused projection has B [slice rows,
/// r] and leaves the other outputs as they are.
std::map<std::string, std::vector<std::int64_t>> factor_shapes(const Target& target,
                                                               const MethodConfig& config);

/// A Kaiming-uniform and B zero, as in loralib and PEFT (the paper draws A from a Gaussian); of an embedding
/// A zero and B normal: the factor that ids select from starts at zero.
SiteTensors fresh_factors(const Target& target, const MethodConfig& config, at::Generator& generator);

/// s B A x [..., site's out] in the factors' dtype, with s = MethodConfig::scale() and dropout before A (none
/// on ids).
at::Tensor low_rank_output(const SiteValues& values, const Target& target, const SiteTensors& tensors,
                           const MethodConfig& config, bool training);

/// s B A in float64, [target's out, in].
at::Tensor low_rank_weight(const SiteTensors& tensors, const MethodConfig& config);

/// True for the leaf that fresh_factors draws at random: A, of an embedding B.
bool is_random_factor(const std::string& leaf);

/// The two factors.
const at::Tensor& factor_a(const SiteTensors& tensors);
const at::Tensor& factor_b(const SiteTensors& tensors);

/// A weight as [out, in], whichever way round it is stored; its rows that belong to the target.
at::Tensor output_rows(const at::Tensor& weight, const Target& target);

/// `rows` [target's out, ...] put at the target's rows of `all` [site's out, ...].
at::Tensor with_rows(const at::Tensor& all, const Target& target, const at::Tensor& rows);

/// The same with zeros at the site's other rows.
at::Tensor spread_rows(const at::Tensor& rows, const Target& target);

}  // namespace lora
