#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/core/grad_mode.h>

#include <cmath>

#include "adapter/initial_factors.h"
#include "adapter/merge.h"
#include "lora/adapter/adapter.h"
#include "lora/checkpoint/adapter_folder.h"
#include "support/catch.h"
#include "support/errors.h"
#include "support/every_kind_model.h"
#include "support/temporary_folder.h"

using namespace lora;
using namespace lora::test;

namespace {

constexpr bool kEvaluation = false;

struct Bench {
  TemporaryFolder folder;
  Program program = Program::load(every_kind_model(folder.path()));

  Adapter create(const std::string& init, const std::vector<std::string>& targets,
                 std::int64_t rank = 4) const {
    MethodConfig config;
    config.rank = rank;
    config.alpha = 6;
    config.init = init;
    return create_adapter(program, resolve_targets(program.sites(), {targets, {}, ""}), config, {}, 5);
  }

  at::Tensor logits(const Adapter& adapter) const {
    const at::NoGradGuard no_grad;
    return program.executable(make_hooks(adapter, kEvaluation)).logits(every_kind_inputs());
  }
};

const std::vector<std::string> kEverywhere = {"wte", "c_attn:query", "c_attn:value", "c_proj", "up", "down"};

double relative(const at::Tensor& found, const at::Tensor& expected) {
  return ((found - expected).abs().max() / expected.abs().max()).item<double>();
}

}  // namespace

TEST_CASE("starts: the adapted model equals the base, wherever the factors start") {
  const Bench bench;
  const at::Tensor base = bench.logits({});
  for (const std::string& init : init_names()) {
    INFO(init);
    CHECK(relative(bench.logits(bench.create(init, kEverywhere)), base) < 1e-5);
  }
}

TEST_CASE("starts: PiSSA's factors are the leading part of the weight, OLoRA's an orthonormal basis") {
  const Bench bench;
  for (const char* init : {"pissa", "olora"}) {
    const Adapter adapter = bench.create(init, {"up"});
    const AdaptedTarget& up = adapter.targets.front();
    const at::Tensor A = up.tensors.at("lora_A.weight"), B = up.tensors.at("lora_B.weight");
    const at::Tensor W = bench.program.weight(up.target.site->weight).value;
    INFO(init);
    CHECK(up.origin.size() == 2);
    if (std::string(init) == "olora") {
      CHECK(at::allclose(at::mm(B.t(), B), at::eye(4), 1e-5, 1e-5));
      continue;
    }
    const auto [U, S, Vh] = at::linalg_svd(W, false);
    const at::Tensor leading = at::mm(U.narrow(1, 0, 4) * S.narrow(0, 0, 4), Vh.narrow(0, 0, 4));
    CHECK(relative(at::mm(B, A) * up.config.scale(), leading) < 1e-3);
    CHECK(relative(B.norm(at::Scalar(2), 0), A.norm(at::Scalar(2), 1)) < 1e-4);  // shared evenly
  }
}

TEST_CASE("starts: orthogonal factors are not zero, but their product is; their rank is even") {
  const Bench bench;
  const Adapter adapter = bench.create("orthogonal", {"up"});
  const at::Tensor A = adapter.targets[0].tensors.at("lora_A.weight"),
                   B = adapter.targets[0].tensors.at("lora_B.weight");
  CHECK(at::mm(B, A).abs().max().item<double>() < 1e-7);
  CHECK(A.abs().max().item<double>() > 0.01);
  CHECK(B.abs().max().item<double>() > 0.01);
  require_error([&] { bench.create("orthogonal", {"up"}, 3); }, ExitCode::usage, {"even rank"});
}

TEST_CASE("starts: gaussian draws A with the deviation 1 / r") {
  const Bench bench;
  const Adapter adapter = bench.create("gaussian", {"up"}, 8);
  const double deviation = adapter.targets[0].tensors.at("lora_A.weight").std().item<double>();
  CHECK(std::abs(deviation - 0.125) < 0.03);
  CHECK(adapter.targets[0].tensors.at("lora_B.weight").abs().max().item<double>() == 0);
}

TEST_CASE(
    "starts off the base: trained factors minus the start are merged, and saved as plain factors of twice "
    "the rank") {
  const Bench bench;
  for (const char* init : {"pissa", "olora"}) {
    INFO(init);
    Adapter adapter = bench.create(init, kEverywhere);
    at::manual_seed(2);
    for (auto& [name, tensor] : adapter.tensors()) tensor->add_(at::randn(tensor->sizes()) * 0.1);
    const at::Tensor live = bench.logits(adapter);
    const AdapterFolder folder =
        pack_adapter(bench.program, adapter, {"base", bench.program.fingerprint(), "", {}});
    const Adapter read = fit_adapter(folder, bench.program);
    for (const AdaptedTarget& adapted : read.targets) {
      CHECK(adapted.config.rank == 8);
      CHECK(adapted.config.scale() == adapter.targets.front().config.scale());
    }
    CHECK(relative(bench.logits(read), live) < 1e-5);
    Program merged = Program::load(bench.program.path());
    for (const auto& [path, value] : merged_weights(bench.program, adapter)) merged.set_weight(path, value);
    const at::NoGradGuard no_grad;
    CHECK(relative(merged.executable().logits(every_kind_inputs()), live) < 1e-5);
  }
}

TEST_CASE("a frozen A is not among the trained tensors, and is saved") {
  const Bench bench;
  MethodConfig config;
  config.rank = 2;
  config.freeze_a = true;
  const auto targets = resolve_targets(bench.program.sites(), {{"wte", "up"}, {}, ""});
  const Adapter frozen = create_adapter(bench.program, targets, config, {}, 1);
  config.freeze_a = false;
  const Adapter whole = create_adapter(bench.program, targets, config, {}, 1);
  CHECK(frozen.tensors().size() == 2);
  CHECK(whole.tensors().size() == 4);
  CHECK(frozen.parameter_count() < whole.parameter_count());
  CHECK(pack_adapter(bench.program, frozen, {}).tensors.size() == 4);
}

TEST_CASE("a frozen A keeps no input for the backward pass, a trained one does") {
  const Bench bench;
  const Adapter adapter = bench.create("default", {"up"});
  const AdaptedTarget& up = adapter.targets.front();
  const at::Tensor W = bench.program.weight(up.target.site->weight).value;
  for (const bool freeze : {false, true}) {
    INFO("frozen " << freeze);
    SiteTensors tensors;
    for (const auto& [leaf, tensor] : up.tensors) {
      tensors[leaf] = tensor.clone();
      tensors[leaf].set_requires_grad(!freeze || leaf == "lora_B.weight");
    }
    at::Tensor source = at::randn({3, 5, up.target.in()});
    source.set_requires_grad(true);
    at::Tensor x = source * 2;  // keeps nothing itself
    const c10::weak_intrusive_ptr<at::TensorImpl> kept(x.getIntrusivePtr());
    at::Tensor y;
    {
      const at::Tensor frozen_output = at::linear(x, W);
      y = find_method("lora").forward({frozen_output, x, W}, up.target, tensors, up.config, true);
    }
    x.reset();
    CHECK(kept.expired() == freeze);
    y.sum().backward();
    CHECK(tensors.at("lora_B.weight").grad().defined());
    CHECK(source.grad().defined());
  }
}
