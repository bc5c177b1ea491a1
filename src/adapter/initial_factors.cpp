#include "adapter/initial_factors.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>

#include "adapter/factors.h"
#include "lora/base/error.h"
#include "lora/base/text.h"
#include "lora/kernels/low_rank.h"

namespace lora {
namespace {

/// A [r, in], B [out, r].
struct Start {
  at::Tensor A, B;
};

struct InitRow {
  const char* name;
  bool off_base;
  /// `W` is the target's base weight as [out, in], float32.
  Start (*make)(const at::Tensor& W, const MethodConfig& config, at::Generator& generator);
};

at::Tensor normal(std::vector<std::int64_t> shape, double deviation, at::Generator& generator) {
  return at::empty(shape).normal_(0, deviation, generator);
}

/// A normal with standard deviation 1 / r, B zero, as PEFT's "gaussian".
Start gaussian(const at::Tensor& W, const MethodConfig& config, at::Generator& generator) {
  return {normal({config.rank, W.size(1)}, 1 / static_cast<double>(config.rank), generator),
          at::zeros({W.size(0), config.rank})};
}

/// Random factors through the even and the odd rows of one orthogonal matrix, so that B A = 0 with neither of
/// them zero, as PEFT's "orthogonal".
Start orthogonal(const at::Tensor& W, const MethodConfig& config, at::Generator& generator) {
  const std::int64_t r = config.rank;
  if (r % 2 != 0) throw Error(ExitCode::usage, cat("--init orthogonal needs an even rank, found ", r));
  const at::Tensor Q = std::get<0>(at::linalg_qr(normal({r, r}, 1, generator)));
  const at::Tensor even = Q.slice(0, 0, r, 2), odd = Q.slice(0, 1, r, 2);
  return {at::mm(normal({W.size(1), r / 2}, 1, generator), odd).t() / 10,
          at::mm(normal({W.size(0), r / 2}, 1, generator), even) / 10};
}

/// s B A = the r leading singular triples of W, shared evenly by both factors. Meng et al. 2024, PiSSA
/// (arXiv:2404.02948), eq. 2 and 3; the SVD is a randomised one.
Start pissa(const at::Tensor& W, const MethodConfig& config, at::Generator& generator) {
  constexpr RandomisedSvdOptions kSketch{.oversampling = 16, .power_iterations = 6};
  const Svd svd = randomised_svd(W, config.rank, generator, kSketch);
  const at::Tensor root = (svd.S / config.scale()).sqrt();
  return {root.unsqueeze(1) * svd.V.t(), svd.U * root};
}

/// B, A = the first r columns of Q and rows of R, W = Q R. Buyukakyuz 2024, OLoRA (arXiv:2406.01775).
Start olora(const at::Tensor& W, const MethodConfig& config, at::Generator&) {
  const auto [Q, R] = at::linalg_qr(W);
  return {R.narrow(0, 0, config.rank), Q.narrow(1, 0, config.rank)};
}

/// "eva" starts as "default"; a training then sets A from the inputs that it sees (src/train/eva.h).
constexpr InitRow kInits[] = {
    {"default", false, nullptr}, {"gaussian", false, gaussian}, {"orthogonal", false, orthogonal},
    {"pissa", true, pissa},      {"olora", true, olora},        {"eva", false, nullptr},
};

const InitRow& find_init(const std::string& name) {
  for (const InitRow& row : kInits) {
    if (row.name == name) return row;
  }
  throw Error(ExitCode::usage, cat("unknown init \"", printable(name), "\""),
              cat("use ", join(init_names(), ", ")));
}

}  // namespace

std::vector<std::string> init_names() {
  std::vector<std::string> names;
  for (const InitRow& row : kInits) names.emplace_back(row.name);
  return names;
}

bool starts_off_base(const std::string& init) { return find_init(init).off_base; }

SiteTensors initial_factors(const Target& target, const MethodConfig& config, const at::Tensor& weight,
                            at::Generator& generator) {
  const at::NoGradGuard no_grad;
  const InitRow& row = find_init(config.init);
  SiteTensors factors = fresh_factors(target, config, generator);
  const bool is_embedding = target.site->kind == SiteKind::embedding;
  if (!row.make || (is_embedding && !row.off_base)) return factors;
  const Start start = row.make(output_rows(weight, target).to(at::kFloat).cpu(), config, generator);
  for (auto& [leaf, tensor] : factors)
    tensor = (&tensor == &factor_a(factors) ? start.A : start.B).contiguous().clone();
  return factors;
}

}  // namespace lora
