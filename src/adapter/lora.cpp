#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include "adapter/factors.h"
#include "adapter/methods.h"
#include "lora/kernels/low_rank_linear.h"

namespace lora {
namespace {

/// Low-rank update of a frozen weight: y = W0 x + s B A x, with s = MethodConfig::scale().
/// Hu et al. 2021 (arXiv:2106.09685), eq. 3.
///
/// x [..., in], y [..., out]; A [r, in], B [out, r], trained in float32. Stored W0 is [out, in] (linear) or
/// [in, out] (conv1d).
/// Embedding: x are ids, W0 [rows, dim], A [r, rows], B [dim, r] and y = W0[x] + s (B A)^T[x].
///
/// The branch is computed in the factors' dtype; the sum is rounded once to y's.
class LoraMethod : public Method {
 public:
  std::string name() const override { return "lora"; }

  SiteTensors create(const Target& target, const MethodConfig& config, const at::Tensor&,
                     at::Generator& generator) const override {
    return fresh_factors(target, config, generator);
  }

  bool computes_site(const Target& target) const override {
    return !target.slice && target.site->kind != SiteKind::embedding;
  }

  /// Unless dropout or types keep frozen output and update apart.
  std::optional<Projection> projection(const SiteValues& values, const Target& target,
                                       const SiteTensors& tensors, const MethodConfig& config,
                                       bool training) const override {
    const at::Tensor &A = factor_a(tensors), &B = factor_b(tensors);
    const bool drops = training && config.dropout > 0;
    if (drops || values.input.scalar_type() != A.scalar_type() || values.weight.requires_grad())
      return std::nullopt;
    return Projection{stored_by_output(values, target), values.bias, A, B, config.scale()};
  }

  at::Tensor forward(const SiteValues& values, const Target& target, const SiteTensors& tensors,
                     const MethodConfig& config, bool training) const override {
    if (!values.output.defined()) return whole_output(values, target, tensors, config, training);
    const at::Tensor update = low_rank_output(values, target, tensors, config, training);
    return (values.output + update).to(values.output.scalar_type());
  }

  at::Tensor effective_weight(const at::Tensor& weight, const Target& target, const SiteTensors& tensors,
                              const MethodConfig& config) const override {
    const at::NoGradGuard no_grad;
    at::Tensor sum = spread_rows(low_rank_weight(tensors, config), target);
    if (target.site->kind != SiteKind::linear) sum = sum.t();
    return sum.add_(weight).to(weight.scalar_type()).contiguous();
  }

  std::map<std::string, std::vector<std::int64_t>> shapes(const Target& target,
                                                          const MethodConfig& config) const override {
    return factor_shapes(target, config);
  }

 private:
  /// W0 [out, in].
  static at::Tensor stored_by_output(const SiteValues& values, const Target& target) {
    return target.site->kind == SiteKind::linear ? values.weight : values.weight.t();
  }

  at::Tensor whole_output(const SiteValues& values, const Target& target, const SiteTensors& tensors,
                          const MethodConfig& config, bool training) const {
    if (const auto whole = projection(values, target, tensors, config, training))
      return low_rank_linears(values.input, {*whole})[0];
    at::Tensor frozen = product_in_type_of(values.input, stored_by_output(values, target));
    if (values.bias.defined()) frozen = frozen + values.bias;
    return forward({frozen, values.input, values.weight, values.bias}, target, tensors, config, training);
  }
};

}  // namespace

const Method& lora_method() {
  static const LoraMethod method;
  return method;
}

}  // namespace lora
