#include "adapter/factors.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <cmath>

#include "adapter/dropout.h"

namespace lora {
namespace {

constexpr const char *kLinearA = "lora_A.weight", *kLinearB = "lora_B.weight";
constexpr const char *kEmbeddingA = "lora_embedding_A", *kEmbeddingB = "lora_embedding_B";

bool is_embedding(const Target& target) { return target.site->kind == SiteKind::embedding; }

const at::Tensor& either(const SiteTensors& tensors, const char* linear, const char* embedding) {
  const auto found = tensors.find(linear);
  return found != tensors.end() ? found->second : tensors.at(embedding);
}

at::Tensor slice_rows(const Target& target, at::Device device) {
  return at::tensor(target.slice->rows, at::kLong).to(device);
}

}  // namespace

std::map<std::string, std::vector<std::int64_t>> factor_shapes(const Target& target,
                                                               const MethodConfig& config) {
  return {{is_embedding(target) ? kEmbeddingA : kLinearA, {config.rank, target.in()}},
          {is_embedding(target) ? kEmbeddingB : kLinearB, {target.out(), config.rank}}};
}

SiteTensors fresh_factors(const Target& target, const MethodConfig& config, at::Generator& generator) {
  const at::NoGradGuard no_grad;
  if (is_embedding(target)) {
    return {{kEmbeddingA, at::zeros({config.rank, target.in()})},
            {kEmbeddingB, at::empty({target.out(), config.rank}).normal_(0, 1, generator)}};
  }
  // Kaiming-uniform with a = sqrt(5): bound = sqrt(6 / ((1 + a^2) fan_in)) = 1 / sqrt(fan_in).
  const double bound = 1 / std::sqrt(static_cast<double>(target.in()));
  return {{kLinearA, at::empty({config.rank, target.in()}).uniform_(-bound, bound, generator)},
          {kLinearB, at::zeros({target.out(), config.rank})}};
}

bool is_random_factor(const std::string& leaf) { return leaf == kLinearA || leaf == kEmbeddingB; }

const at::Tensor& factor_a(const SiteTensors& tensors) { return either(tensors, kLinearA, kEmbeddingA); }
const at::Tensor& factor_b(const SiteTensors& tensors) { return either(tensors, kLinearB, kEmbeddingB); }

at::Tensor low_rank_output(const SiteValues& values, const Target& target, const SiteTensors& tensors,
                           const MethodConfig& config, bool training) {
  const at::Tensor &A = factor_a(tensors), &B = factor_b(tensors);
  at::Tensor inner;  // [..., r]
  if (is_embedding(target)) {
    inner = at::embedding(A.t(), values.input);
  } else {
    const at::Tensor x = values.input.to(A.scalar_type());
    inner = at::linear(with_dropout(x, config.dropout, training), A);
  }
  // Scaled where there are r features, not out of them: less to multiply, forward and backward.
  return at::linear(inner * config.scale(), spread_rows(B, target));
}

at::Tensor low_rank_weight(const SiteTensors& tensors, const MethodConfig& config) {
  return at::mm(factor_b(tensors).to(at::kDouble), factor_a(tensors).to(at::kDouble)).mul_(config.scale());
}

at::Tensor output_rows(const at::Tensor& weight, const Target& target) {
  const at::Tensor by_output = target.site->kind == SiteKind::linear ? weight : weight.t();
  return target.slice ? by_output.index_select(0, slice_rows(target, weight.device())) : by_output;
}

at::Tensor with_rows(const at::Tensor& all, const Target& target, const at::Tensor& rows) {
  return target.slice ? all.index_copy(0, slice_rows(target, all.device()), rows) : rows;
}

at::Tensor spread_rows(const at::Tensor& rows, const Target& target) {
  if (!target.slice) return rows;
  std::vector<std::int64_t> sizes = rows.sizes().vec();
  sizes.front() = target.site->out;
  return with_rows(at::zeros(sizes, rows.options()), target, rows);
}

}  // namespace lora
