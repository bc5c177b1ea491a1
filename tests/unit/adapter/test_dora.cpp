#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/core/grad_mode.h>

#include "lora/adapter/adapter.h"
#include "support/catch.h"
#include "support/errors.h"
#include "support/every_kind_model.h"
#include "support/temporary_folder.h"

using namespace lora;

namespace {

constexpr bool kEvaluation = false;
const MethodConfig kConfig{"dora", 2, 3, 0};

struct Sample {
  Site site;
  at::Tensor weight, bias, x;
  SiteTensors tensors;

  explicit Sample(at::ScalarType type = at::kDouble) {
    at::manual_seed(1);
    site.path = "m";
    site.weight = "m.weight";
    site.in = 5;
    site.out = 4;
    weight = at::randn({4, 5}, type);
    bias = at::randn({4}, type);
    x = at::randn({3, 5}, type);
    tensors = {{"lora_A.weight", at::randn({2, 5}, type)},
               {"lora_B.weight", at::randn({4, 2}, type)},
               {"lora_magnitude_vector", at::rand({4}, type) + 0.5}};
  }

  Target target() const { return {&site, nullptr}; }

  at::Tensor forward() const {
    const at::Tensor y = at::linear(x, weight, bias);
    return find_method("dora").forward({y, x, weight, bias}, target(), tensors, kConfig, kEvaluation);
  }

  at::Tensor direction() const {
    return weight + at::mm(tensors.at("lora_B.weight"), tensors.at("lora_A.weight")) * 1.5;
  }

  /// (m / norms) V x + b
  at::Tensor naive(const at::Tensor& norms) const {
    const at::Tensor quotient = tensors.at("lora_magnitude_vector") / norms;
    return at::linear(x, quotient.unsqueeze(1) * direction(), bias);
  }
};

}  // namespace

TEST_CASE("dora: the output is that of rows of the summed weight, scaled to the magnitudes, plus the bias") {
  const Sample sample;
  // float64: the order of sums differs.
  CHECK(at::allclose(sample.forward(), sample.naive(sample.direction().norm(2, {1})), 1e-12, 1e-12));
}

TEST_CASE("dora: gradients are those with the norm held constant") {
  Sample sample;
  for (auto& [leaf, tensor] : sample.tensors) tensor.requires_grad_(true);
  std::vector<at::Tensor> expected;
  const at::Tensor along = at::randn({3, 4}, at::kDouble);
  (sample.naive(sample.direction().norm(2, {1}).detach()) * along).sum().backward();
  for (auto& [leaf, tensor] : sample.tensors) {
    expected.push_back(tensor.grad().clone());
    tensor.mutable_grad().reset();
  }
  (sample.forward() * along).sum().backward();
  std::size_t i = 0;
  for (const auto& [leaf, tensor] : sample.tensors) {
    INFO(leaf);
    CHECK(at::allclose(tensor.grad(), expected[i++], 1e-12, 1e-12));
  }
  // Against the gradient through the norm, which is another one.
  Sample through;
  for (auto& [leaf, tensor] : through.tensors) tensor.requires_grad_(true);
  (through.naive(through.direction().norm(2, {1})) * along).sum().backward();
  CHECK_FALSE(at::allclose(through.tensors.at("lora_A.weight").grad(), expected[0], 1e-2, 1e-2));
}

TEST_CASE("dora: magnitudes start as the norms of the base's rows; a row of zeros stays zero") {
  Sample sample(at::kFloat);
  sample.weight[2].zero_();
  at::Generator generator = at::detail::createCPUGenerator(3);
  sample.tensors = find_method("dora").create(sample.target(), kConfig, sample.weight, generator);
  const at::Tensor& m = sample.tensors.at("lora_magnitude_vector");
  CHECK(at::allclose(m, sample.weight.norm(2, {1}), 1e-6, 0));
  CHECK(at::equal(sample.forward(), at::linear(sample.x, sample.weight, sample.bias)));
}

TEST_CASE("dora: the effective weight has rows of the magnitudes' lengths") {
  const Sample sample(at::kFloat);
  for (const at::ScalarType type : {at::kFloat, at::kHalf}) {
    const at::Tensor weight = find_method("dora").effective_weight(sample.weight.to(type), sample.target(),
                                                                   sample.tensors, kConfig);
    CHECK(weight.scalar_type() == type);
    // Half a unit of the last place of each element.
    const double tolerance = type == at::kHalf ? 5e-4 : 1e-7;
    CHECK(at::allclose(weight.to(at::kDouble).norm(2, {1}),
                       sample.tensors.at("lora_magnitude_vector").to(at::kDouble), tolerance, 0));
  }
}

TEST_CASE("dora: a bfloat16 model starts as the base, bit for bit, and its tensors are float32") {
  const at::NoGradGuard no_grad;
  const test::TemporaryFolder folder;
  const Program program =
      Program::load(test::every_kind_model(folder.path(), test::Head::own, at::kBFloat16));
  std::vector<Target> targets;
  for (const Site& site : program.sites()) targets.push_back({&site, nullptr});
  const Adapter adapter = create_adapter(program, targets, kConfig, {}, 1);
  for (const auto& [name, tensor] : adapter.tensors()) CHECK(tensor->scalar_type() == at::kFloat);
  const at::Tensor live =
      program.executable(make_hooks(adapter, kEvaluation)).logits(test::every_kind_inputs());
  CHECK(live.scalar_type() == at::kBFloat16);
  CHECK(at::equal(live, program.executable().logits(test::every_kind_inputs())));
}

TEST_CASE("dora: a projection and a slice of it are refused, slices beside each other are not") {
  const test::TemporaryFolder folder;
  const Program program = Program::load(test::every_kind_model(folder.path()));
  const auto create = [&](const std::vector<std::string>& patterns) {
    return create_adapter(program, resolve_targets(program.sites(), {patterns, {}, ""}), kConfig, {}, 1);
  };
  test::require_error([&] { create({"c_attn", "c_attn:query"}); }, ExitCode::usage,
                      {"attn.c_attn:query", "share outputs"});
  CHECK(create({"c_attn:query", "c_attn:value"}).targets.size() == 2);
}
