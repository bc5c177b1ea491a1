#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include "adapter/factors.h"
#include "adapter/methods.h"

namespace lora {
namespace {

constexpr const char* kMagnitude = "lora_magnitude_vector";

/// A row of zeros has no direction: it stays zero, where a quotient of zeros would be NaN.
at::Tensor divisors(const at::Tensor& norms) { return norms.masked_fill(norms == 0, 1); }

/// |W0 + s B A| of every output row of the target, [target's out], without the sum itself:
/// |w + s b A|^2 = |w|^2 + 2 s (w A^T) b^T + s^2 (b A A^T) b^T for a row w of W0 and b of B.
at::Tensor row_norms(const at::Tensor& weight, const Target& target, const SiteTensors& tensors, double s) {
  const at::NoGradGuard no_grad;
  const at::Tensor A = factor_a(tensors).to(weight.device()), B = factor_b(tensors).to(weight.device());
  const at::Tensor W0 = output_rows(weight, target).to(A.scalar_type());
  const at::Tensor own = at::linalg_vector_norm(W0, 2, {1}).square_();
  const at::Tensor mixed = at::mm(W0, A.t()) * (2 * s) + at::mm(B, at::mm(A, A.t())) * (s * s);  // [out, r]
  return own.add_((mixed * B).sum(1)).clamp_min_(0).sqrt_();
}

/// Weight-decomposed update: y = (m / |W0 + s B A|) (W0 + s B A) x + bias, the norm over each output's row
/// and constant in the gradient. Liu et al. 2024 (arXiv:2402.09353), eq. 5 and section 4.3.
///
/// A, B, s and x as in LoRA; m [out] starts as the norms of W0, so that y is the base's. A slice of a fused
/// projection has the magnitudes of its own rows.
///
/// Departs from PEFT: dropout acts before A only, not on the x of W0 x.
class DoraMethod : public Method {
 public:
  std::string name() const override { return "dora"; }
  bool is_additive() const override { return false; }

  SiteTensors create(const Target& target, const MethodConfig& config, const at::Tensor& weight,
                     at::Generator& generator) const override {
    SiteTensors tensors = fresh_factors(target, config, generator);
    // By row_norms, so that the first quotient is exactly 1.
    tensors[kMagnitude] = row_norms(weight, target, tensors, config.scale());
    return tensors;
  }

  at::Tensor forward(const SiteValues& values, const Target& target, const SiteTensors& tensors,
                     const MethodConfig& config, bool training) const override {
    const at::Tensor& m = tensors.at(kMagnitude);
    const at::Tensor sum = values.output + low_rank_output(values, target, tensors, config, training);
    const at::Tensor product = values.bias.defined() ? sum - values.bias : sum;  // (W0 + s B A) x
    const at::Tensor growth = m / divisors(row_norms(values.weight, target, tensors, config.scale())) - 1;
    return at::addcmul(sum, product, spread_rows(growth, target)).to(values.output.scalar_type());
  }

  at::Tensor effective_weight(const at::Tensor& weight, const Target& target, const SiteTensors& tensors,
                              const MethodConfig& config) const override {
    const at::NoGradGuard no_grad;
    const bool straight = target.site->kind == SiteKind::linear;
    const at::Tensor exact = weight.to(at::kDouble);
    const at::Tensor V = output_rows(exact, target) + low_rank_weight(tensors, config);
    const at::Tensor norms = at::linalg_vector_norm(V, 2, {1});
    const at::Tensor quotient = tensors.at(kMagnitude).to(at::kDouble) / divisors(norms);
    const at::Tensor all = with_rows(straight ? exact : exact.t(), target, V * quotient.unsqueeze(1));
    return (straight ? all : all.t()).to(weight.scalar_type()).contiguous();
  }

  std::map<std::string, std::vector<std::int64_t>> shapes(const Target& target,
                                                          const MethodConfig& config) const override {
    auto shapes = factor_shapes(target, config);
    shapes[kMagnitude] = {target.out()};
    return shapes;
  }
};

}  // namespace

const Method& dora_method() {
  static const DoraMethod method;
  return method;
}

}  // namespace lora
