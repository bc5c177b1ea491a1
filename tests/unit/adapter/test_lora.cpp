#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/core/grad_mode.h>

#include <cmath>

#include "lora/adapter/method.h"
#include "support/catch.h"
#include "support/errors.h"

using namespace lora;
using lora::test::require_error;

namespace {

Site site_of(SiteKind kind, std::int64_t in, std::int64_t out) {
  Site site;
  site.path = "m";
  site.weight = "m.weight";
  site.kind = kind;
  site.in = in;
  site.out = out;
  return site;
}

const Method& lora_method() { return find_method("lora"); }

SiteTensors created(const Target& target, const MethodConfig& config, std::uint64_t seed = 3) {
  at::Generator generator = at::detail::createCPUGenerator(seed);
  return lora_method().create(target, config, at::Tensor(), generator);
}

at::Tensor forward(const Target& target, const SiteTensors& tensors, const MethodConfig& config,
                   const at::Tensor& y, const at::Tensor& x, bool training = false) {
  return lora_method().forward({y, x, at::Tensor()}, target, tensors, config, training);
}

}  // namespace

TEST_CASE("lora: the update is alpha/r times B A x, by hand") {
  const Site site = site_of(SiteKind::linear, 2, 2);
  const SiteTensors tensors{{"lora_A.weight", at::tensor({1.f, 2.f}).view({1, 2})},
                            {"lora_B.weight", at::tensor({3.f, -1.f}).view({2, 1})}};
  const MethodConfig config{"lora", 1, 0.5, 0};
  // A x = 1*4 + 2*5 = 14; s B A x = 0.5 * [42, -14].
  const at::Tensor y =
      forward({&site, nullptr}, tensors, config, at::tensor({10.f, 20.f}), at::tensor({4.f, 5.f}));
  CHECK(at::equal(y, at::tensor({31.f, 13.f})));
  const at::Tensor weight =
      lora_method().effective_weight(at::zeros({2, 2}), {&site, nullptr}, tensors, config);
  CHECK(at::equal(weight, at::tensor({1.5f, 3.f, -0.5f, -1.f}).view({2, 2})));
}

TEST_CASE("lora: an embedding's update is column A[:, id] through B, by hand") {
  const Site site = site_of(SiteKind::embedding, 3, 2);
  const SiteTensors tensors{{"lora_embedding_A", at::tensor({1.f, 2.f, 3.f}).view({1, 3})},
                            {"lora_embedding_B", at::tensor({10.f, 100.f}).view({2, 1})}};
  const at::Tensor y =
      forward({&site, nullptr}, tensors, {"lora", 1, 2, 0}, at::zeros({2, 2}), at::tensor({2, 0}));
  CHECK(at::equal(y, at::tensor({60.f, 600.f, 20.f, 200.f}).view({2, 2})));
}

TEST_CASE("lora: the scale is alpha/r, or alpha/sqrt(r) if rank-stabilised") {
  CHECK(MethodConfig{"lora", 16, 32, 0}.scale() == 2);
  CHECK(MethodConfig{"lora", 16, 32, 0, true}.scale() == 8);
}

TEST_CASE("lora: A is uniform within 1/sqrt(in) and B zero, the same for the same seed") {
  const Site site = site_of(SiteKind::linear, 64, 32);
  const Target target{&site, nullptr};
  const SiteTensors tensors = created(target, {"lora", 16, 32, 0});
  const at::Tensor& A = tensors.at("lora_A.weight");
  CHECK(A.scalar_type() == at::kFloat);
  CHECK(A.abs().max().item<float>() <= 0.125f);
  // Of 1024 uniform values in [-b, b] the standard deviation is b/sqrt(3), within 5 % (7 standard errors).
  CHECK(std::abs(A.std().item<double>() / (0.125 / std::sqrt(3.0)) - 1) < 0.05);
  CHECK(at::equal(tensors.at("lora_B.weight"), at::zeros({32, 16})));
  CHECK(at::equal(A, created(target, {"lora", 16, 32, 0}).at("lora_A.weight")));
  CHECK_FALSE(at::equal(A, created(target, {"lora", 16, 32, 0}, 4).at("lora_A.weight")));
}

TEST_CASE("lora: a slice changes its own output features only") {
  Site site = site_of(SiteKind::conv1d, 4, 6);
  site.slices = {{SiteRole::value, {1, 4}}};
  const Target target{&site, &site.slices[0]};
  SiteTensors tensors = created(target, {"lora", 2, 2, 0});
  CHECK(tensors.at("lora_B.weight").sizes() == at::IntArrayRef({2, 2}));
  tensors["lora_B.weight"] = at::ones({2, 2});
  const at::Tensor y = forward(target, tensors, {"lora", 2, 2, 0}, at::zeros({5, 6}), at::ones({5, 4}));
  for (std::int64_t feature = 0; feature < 6; ++feature) {
    const bool changed = y.select(1, feature).abs().max().item<float>() > 0;
    CHECK(changed == (feature == 1 || feature == 4));
  }
}

TEST_CASE("lora: dropout acts in training only, before A, and keeps the mean") {
  const Site site = site_of(SiteKind::linear, 2000, 1);
  const SiteTensors tensors{{"lora_A.weight", at::ones({1, 2000})}, {"lora_B.weight", at::ones({1, 1})}};
  const Target target{&site, nullptr};
  const MethodConfig config{"lora", 1, 1, 0.25};
  const at::Tensor y = at::zeros({50, 1}), x = at::ones({50, 2000});
  CHECK(at::equal(forward(target, tensors, config, y, x), at::full({50, 1}, 2000.f)));
  at::manual_seed(1);
  const at::Tensor dropped = forward(target, tensors, config, y, x, true);
  // Each is 4/3 of the number of kept inputs: mean 2000, standard deviation 2000 sqrt(0.25/0.75/2000) = 26.
  CHECK(std::abs(dropped.mean().item<double>() - 2000) < 20);
  CHECK(dropped.std().item<double>() > 13);
}

TEST_CASE("lora: with a bfloat16 base the branch is float32 and the sum is rounded once") {
  at::manual_seed(2);
  const Site site = site_of(SiteKind::linear, 32, 8);
  SiteTensors tensors = created({&site, nullptr}, {"lora", 4, 8, 0});
  tensors["lora_B.weight"] = at::randn({8, 4});
  const at::Tensor x = at::randn({10, 32}).to(at::kBFloat16), y = at::randn({10, 8}).to(at::kBFloat16);
  const at::Tensor adapted = forward({&site, nullptr}, tensors, {"lora", 4, 8, 0}, y, x);
  CHECK(adapted.scalar_type() == at::kBFloat16);
  const at::Tensor inner = at::mm(x.to(at::kFloat), tensors["lora_A.weight"].t());
  const at::Tensor expected = y.to(at::kFloat) + at::mm(inner * 2.0, tensors["lora_B.weight"].t());
  CHECK(at::equal(adapted, expected.to(at::kBFloat16)));
}

TEST_CASE("lora: the effective weight is rounded once, from float64") {
  at::manual_seed(4);
  const Site site = site_of(SiteKind::conv1d, 48, 64);
  SiteTensors tensors = created({&site, nullptr}, {"lora", 4, 8, 0});
  tensors["lora_B.weight"] = at::randn({64, 4}) * 1e-3;
  for (const at::ScalarType type : {at::kFloat, at::kHalf, at::kBFloat16}) {
    const at::Tensor weight = (at::randn({48, 64}) * 0.02).to(type);
    const at::Tensor merged =
        lora_method().effective_weight(weight, {&site, nullptr}, tensors, {"lora", 4, 8, 0});
    const at::Tensor update =
        at::mm(tensors["lora_B.weight"].to(at::kDouble), tensors["lora_A.weight"].to(at::kDouble)).t() * 2.0;
    CHECK(merged.is_contiguous());
    CHECK(at::equal(merged, (weight.to(at::kDouble) + update).to(type)));
  }
}

TEST_CASE("lora: the input is saved for backward without a copy") {
  const Site site = site_of(SiteKind::linear, 8, 4);
  SiteTensors tensors = created({&site, nullptr}, {"lora", 2, 2, 0});
  for (auto& [leaf, tensor] : tensors) tensor.requires_grad_(true);
  const at::Tensor x = at::randn({3, 5, 8}), y = at::zeros({3, 5, 4});
  const auto owners = x.storage().use_count();
  const at::Tensor adapted = forward({&site, nullptr}, tensors, {"lora", 2, 2, 0}, y, x);
  // The graph behind `adapted` holds x's own storage: A's gradient needs x.
  CHECK(x.storage().use_count() > owners);
}

TEST_CASE("methods: an unknown method is a usage error that names the known ones") {
  require_error([] { find_method("lorra"); }, ExitCode::usage, {"unknown method \"lorra\""});
  CHECK(test::error_of([] { find_method("lorra"); }).hint().find("lora") != std::string::npos);
}
