#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <cmath>

#include "adapter/methods.h"

namespace lora {
namespace {

constexpr const char *kLinearA = "lora_A.weight", *kLinearB = "lora_B.weight";
constexpr const char *kEmbeddingA = "lora_embedding_A", *kEmbeddingB = "lora_embedding_B";

bool is_embedding(const Target& target) { return target.site->kind == SiteKind::embedding; }

const at::Tensor& factor_a(const Target& target, const SiteTensors& tensors) {
  return tensors.at(is_embedding(target) ? kEmbeddingA : kLinearA);
}

/// B for every output feature of the site: a slice's rows in their places, zero elsewhere.
at::Tensor factor_b(const Target& target, const SiteTensors& tensors) {
  const at::Tensor& B = tensors.at(is_embedding(target) ? kEmbeddingB : kLinearB);
  if (!target.slice) return B;
  const at::Tensor rows = at::tensor(target.slice->rows, at::kLong).to(B.device());
  return at::zeros({target.site->out, B.size(1)}, B.options()).index_copy(0, rows, B);
}

/// Low-rank update of a frozen weight: y = W0 x + s B A x, with s = MethodConfig::scale().
/// Hu et al. 2021 (arXiv:2106.09685), eq. 3.
///
/// x [..., in], y [..., out]; A [r, in], B [out, r], trained in float32. Stored W0 is [out, in] (linear) or
/// [in, out] (conv1d).
/// Embedding: x are ids, W0 [rows, dim], A [r, rows], B [dim, r] and y = W0[x] + s (B A)^T[x].
/// A slice of a fused projection has B [slice rows, r] and leaves the other outputs as they are.
///
/// The branch is computed in the factors' dtype; the sum is rounded once to y's.
/// Departs from the paper: A is Kaiming-uniform, as in loralib and PEFT, not Gaussian.
class LoraMethod : public Method {
 public:
  std::string name() const override { return "lora"; }

  SiteTensors create(const Target& target, const MethodConfig& config,
                     at::Generator& generator) const override {
    const at::NoGradGuard no_grad;
    if (is_embedding(target)) {
      // As in loralib and PEFT: the factor that ids select from starts at zero.
      return {{kEmbeddingA, at::zeros({config.rank, target.in()})},
              {kEmbeddingB, at::empty({target.out(), config.rank}).normal_(0, 1, generator)}};
    }
    // Kaiming-uniform with a = sqrt(5): bound = sqrt(6 / ((1 + a^2) fan_in)) = 1 / sqrt(fan_in).
    const double bound = 1 / std::sqrt(static_cast<double>(target.in()));
    return {{kLinearA, at::empty({config.rank, target.in()}).uniform_(-bound, bound, generator)},
            {kLinearB, at::zeros({target.out(), config.rank})}};
  }

  at::Tensor forward(const SiteValues& values, const Target& target, const SiteTensors& tensors,
                     const MethodConfig& config, bool training) const override {
    const at::Tensor& A = factor_a(target, tensors);
    at::Tensor inner;  // [..., r]
    if (is_embedding(target)) {
      inner = at::embedding(A.t(), values.input);  // no dropout on ids, as in PEFT
    } else {
      const at::Tensor x = values.input.to(A.scalar_type());
      inner = at::linear(at::dropout(x, config.dropout, training), A);
    }
    // Scaled where there are r features, not out of them: less to multiply, forward and backward.
    const at::Tensor update = at::linear(inner * config.scale(), factor_b(target, tensors));
    return (values.output + update).to(values.output.scalar_type());
  }

  at::Tensor effective_weight(const at::Tensor& weight, const Target& target, const SiteTensors& tensors,
                              const MethodConfig& config) const override {
    const at::NoGradGuard no_grad;
    const at::Tensor A = factor_a(target, tensors).to(at::kDouble);
    const at::Tensor B = factor_b(target, tensors).to(at::kDouble);
    at::Tensor sum = at::mm(B, A).mul_(config.scale());  // [out, in]
    if (target.site->kind != SiteKind::linear) sum = sum.t();
    return sum.add_(weight).to(weight.scalar_type()).contiguous();
  }

  std::map<std::string, std::vector<std::int64_t>> shapes(const Target& target,
                                                          const MethodConfig& config) const override {
    const bool embedding = is_embedding(target);
    return {{embedding ? kEmbeddingA : kLinearA, {config.rank, target.in()}},
            {embedding ? kEmbeddingB : kLinearB, {target.out(), config.rank}}};
  }
};

}  // namespace

const Method& lora_method() {
  static const LoraMethod method;
  return method;
}

}  // namespace lora
