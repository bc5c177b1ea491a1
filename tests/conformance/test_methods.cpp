#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include "lora/adapter/adapter.h"
#include "lora/base/error.h"
#include "lora/checkpoint/adapter_folder.h"
#include "support/catch.h"
#include "support/errors.h"
#include "support/every_kind_model.h"
#include "support/temporary_folder.h"

using namespace lora;
using lora::test::every_kind_inputs;
using lora::test::every_kind_model;
using lora::test::require_error;
using lora::test::TemporaryFolder;

namespace {

constexpr bool kEvaluation = false;

struct Bench {
  TemporaryFolder folder;
  Program program = Program::load(every_kind_model(folder.path()));

  /// Every site, and every slice of the fused one.
  std::vector<Target> targets() const {
    std::vector<Target> all;
    for (const Site& site : program.sites()) {
      all.push_back({&site, nullptr});
      for (const SiteSlice& slice : site.slices) all.push_back({&site, &slice});
    }
    return all;
  }

  at::Tensor logits(const Adapter& adapter) const {
    return program.executable(make_hooks(adapter, kEvaluation)).logits(every_kind_inputs());
  }

  Adapter create(const std::vector<Target>& targets, const std::string& method) const {
    MethodConfig config;
    config.method = method;
    config.rank = 3;
    config.alpha = 5;
    return create_adapter(program, targets, config, {}, 7);
  }
};

void randomise(Adapter& adapter) {
  at::manual_seed(11);
  for (auto& [name, tensor] : adapter.tensors()) tensor->copy_(at::randn(tensor->sizes()) * 0.3);
}

/// Runs `check(method, bench, target)` for every method at every target.
template <class Check>
void for_every_method_and_target(Check check) {
  const Bench bench;
  REQUIRE(bench.targets().size() == 9);  // six sites, one of them with three slices
  for (const std::string& method : method_names()) {
    for (const Target& target : bench.targets()) {
      if (target.slice && !find_method(method).is_mergeable()) continue;  // acts on whole outputs
      INFO(method << " at " << target.name());
      check(method, bench, target);
    }
  }
}

/// Random values of one use of a site, in float64. y = W0 x, plus a bias if it is no embedding.
struct Use {
  at::Tensor weight, bias, input, output;
  SiteValues values() const { return {output, input, weight, bias}; }
};

at::Tensor apply(const Site& site, const Use& use, const at::Tensor& weight) {
  if (site.kind == SiteKind::embedding) return at::embedding(weight, use.input);
  return at::linear(use.input, site.kind == SiteKind::linear ? weight : weight.t(), use.bias);
}

Use random_use(const Site& site) {
  at::manual_seed(5);
  Use use;
  const bool straight = site.kind == SiteKind::linear;
  use.weight = at::randn({straight ? site.out : site.in, straight ? site.in : site.out}, at::kDouble);
  use.input = site.kind == SiteKind::embedding ? at::randint(site.in, {2, 4}, at::kLong)
                                               : at::randn({2, 4, site.in}, at::kDouble);
  if (site.kind != SiteKind::embedding) use.bias = at::randn({site.out}, at::kDouble);
  use.output = apply(site, use, use.weight);
  return use;
}

SiteTensors random_tensors(const Method& method, const Target& target, const MethodConfig& config) {
  SiteTensors tensors;
  for (const auto& [leaf, shape] : method.shapes(target, config)) {
    tensors[leaf] = (at::randn(shape, at::kDouble) * 0.3).requires_grad_(true);
  }
  return tensors;
}

bool is_factor(const SiteTensors& tensors, const at::Tensor& tensor) {
  return std::any_of(tensors.begin(), tensors.end(), [&](const auto& entry) {
    return entry.second.is_same(tensor) && entry.first != "lora_magnitude_vector";
  });
}

}  // namespace

TEST_CASE("methods: the adapted model equals the base at the start, bit for bit") {
  for_every_method_and_target([](const std::string& method, const Bench& bench, const Target& target) {
    const at::NoGradGuard no_grad;
    CHECK(at::equal(bench.logits(bench.create({target}, method)), bench.logits({})));
  });
}

TEST_CASE("methods: created tensors have the names and shapes that files are checked against") {
  for_every_method_and_target([](const std::string& name, const Bench& bench, const Target& target) {
    const Adapter adapter = bench.create({target}, name);
    const AdaptedTarget& adapted = adapter.targets.front();
    const auto shapes = find_method(name).shapes(target, adapted.config);
    CHECK(adapted.tensors.size() == shapes.size());
    for (const auto& [leaf, tensor] : adapted.tensors)
      CHECK(tensor.sizes() == at::IntArrayRef(shapes.at(leaf)));
  });
}

TEST_CASE("methods: forward equals the site with its effective weight") {
  for_every_method_and_target([](const std::string& name, const Bench&, const Target& target) {
    const at::NoGradGuard no_grad;
    const Method& method = find_method(name);
    const MethodConfig config{name, 3, 5, 0.5};
    const Use use = random_use(*target.site);
    const SiteTensors tensors = random_tensors(method, target, config);
    if (!method.is_mergeable()) {
      require_error([&] { method.effective_weight(use.weight, target, tensors, config); }, ExitCode::mismatch,
                    {target.name(), "cannot be merged"});
      return;
    }
    const at::Tensor adapted = method.forward(use.values(), target, tensors, config, kEvaluation);
    const at::Tensor weight = method.effective_weight(use.weight, target, tensors, config);
    CHECK_FALSE(at::allclose(adapted, use.output, 1e-3, 1e-3));
    // float64 throughout: only the order of sums differs.
    CHECK(at::allclose(adapted, apply(*target.site, use, weight), 1e-10, 1e-10));
  });
}

TEST_CASE("methods: the merged model computes what the adapted model computes") {
  for_every_method_and_target([](const std::string& method, const Bench&, const Target& named) {
    const at::NoGradGuard no_grad;
    Bench own;  // its weights are replaced
    const auto targets = own.targets();
    const auto target = std::find_if(targets.begin(), targets.end(),
                                     [&](const Target& each) { return each.name() == named.name(); });
    Adapter adapter = own.create({*target}, method);
    randomise(adapter);
    const at::Tensor live = own.logits(adapter);
    CHECK_FALSE(at::allclose(live, own.logits({}), 1e-3, 1e-3));
    if (!find_method(method).is_mergeable()) {
      require_error([&] { merged_weights(own.program, adapter); }, ExitCode::mismatch, {"cannot be merged"});
      return;
    }
    const auto merged = merged_weights(own.program, adapter);
    REQUIRE(merged.size() == 1);
    for (const auto& [path, value] : merged) own.program.set_weight(path, value);
    // float32: sums of at most 40 terms in another order.
    CHECK(at::allclose(own.logits({}), live, 1e-4, 1e-5));
  });
}

TEST_CASE("methods: gradients reach the method's own tensors and nothing else") {
  for_every_method_and_target([](const std::string& method, const Bench& bench, const Target& target) {
    Adapter adapter = bench.create({target}, method);
    randomise(adapter);
    for (auto& [name, tensor] : adapter.tensors()) tensor->requires_grad_(true);
    bench.logits(adapter).pow(2).sum().backward();
    for (const auto& [name, tensor] : adapter.tensors()) {
      INFO(name);
      REQUIRE(tensor->grad().defined());
      CHECK(tensor->grad().abs().max().item<float>() > 0);
    }
    for (const Weight& weight : bench.program.weights()) {
      CHECK_FALSE(weight.value.requires_grad());
      CHECK_FALSE(weight.value.grad().defined());
    }
  });
}

TEST_CASE("methods: gradients agree with finite differences") {
  constexpr double kStep = 1e-6;
  for_every_method_and_target([](const std::string& name, const Bench&, const Target& target) {
    const Method& method = find_method(name);
    const MethodConfig config{name, 3, 5, 0};
    Use use = random_use(*target.site);
    if (use.input.is_floating_point()) use.input.requires_grad_(true);
    SiteTensors tensors = random_tensors(method, target, config);
    const at::Tensor direction = at::randn(use.output.sizes(), at::kDouble);
    const auto value = [&] {
      return (method.forward(use.values(), target, tensors, config, kEvaluation) * direction).sum();
    };
    value().backward();
    std::vector<at::Tensor> leaves;
    for (auto& [leaf, tensor] : tensors) leaves.push_back(tensor);
    if (use.input.is_floating_point()) leaves.push_back(use.input);
    const at::NoGradGuard no_grad;
    for (at::Tensor& leaf : leaves) {
      if (!leaf.grad().defined()) continue;  // the frozen output given, a method may not look at the input
      // DoRA takes the norm, which depends on A and B, for a constant: see test_dora.cpp for their gradients.
      if (name == "dora" && is_factor(tensors, leaf)) continue;
      const at::Tensor flat = leaf.view({-1}), gradient = leaf.grad().reshape({-1});
      for (std::int64_t i = 0; i < flat.numel(); i += 5) {
        const at::Tensor element = flat[i];
        const double before = element.item<double>();
        element.fill_(before + kStep);
        const double above = value().item<double>();
        element.fill_(before - kStep);
        const double below = value().item<double>();
        element.fill_(before);
        // Error of central differences in float64: about 1e-16 / step.
        CHECK(std::abs((above - below) / (2 * kStep) - gradient[i].item<double>()) < 1e-6);
      }
    }
  });
}

TEST_CASE("methods: save and load is bit-identical") {
  for_every_method_and_target([](const std::string& method, const Bench& bench, const Target& target) {
    const at::NoGradGuard no_grad;
    Adapter adapter = bench.create({target}, method);
    randomise(adapter);
    const auto folder = bench.folder / "adapter";
    write_adapter_folder(
        folder, pack_adapter(bench.program, adapter, {"base", bench.program.fingerprint(), "", {}}), "card");
    const Adapter loaded = fit_adapter(read_adapter_folder(folder), bench.program);
    const auto before = std::as_const(adapter).tensors(), after = loaded.tensors();
    REQUIRE(before.size() == after.size());
    for (std::size_t i = 0; i < before.size(); ++i) {
      CHECK(before[i].first == after[i].first);
      CHECK(at::equal(*before[i].second, *after[i].second));
    }
    CHECK(at::equal(bench.logits(loaded), bench.logits(adapter)));
  });
}
