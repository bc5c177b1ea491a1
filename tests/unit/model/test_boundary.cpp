#include <ATen/ATen.h>

#include "lora/model/program.h"
#include "support/catch.h"
#include "support/script_models.h"

using namespace lora;
using lora::test::ScriptModels;

namespace {

ModelInputs padded_inputs() {
  ModelInputs inputs;
  inputs.input_ids = at::arange(3 * 9, at::kLong).view({3, 9});
  inputs.attention_mask = at::ones({3, 9}, at::kLong);
  inputs.attention_mask.narrow(0, 1, 1).narrow(1, 6, 3).zero_();
  return inputs;
}

/// A factor behind each of some weights' sites.
struct Factors {
  std::map<std::string, at::Tensor> values;
  std::vector<HookedSite> hooks;

  Factors(const Program& program, const std::vector<std::string>& weights) {
    for (const Site& site : program.sites()) {
      if (std::find(weights.begin(), weights.end(), site.weight) == weights.end()) continue;
      const at::Tensor factor = values[site.weight] = at::full({site.out}, 1.5).set_requires_grad(true);
      hooks.push_back({&site, [factor](const SiteValues& at) { return at.output * factor; }});
    }
  }
};

Program loaded(const ScriptModels& models) {
  Program program = Program::load(const_cast<ScriptModels&>(models).transformer());
  program.split_at_boundary(true);
  return program;
}

}  // namespace

TEST_CASE("boundary: from it on, logits and gradients are those of the whole bit by bit") {
  const ScriptModels models;
  Program program = loaded(models);
  const bool rewritten = GENERATE(false, true);
  program.use_rewrites({rewritten ? "all" : "none"});
  const ModelInputs inputs = padded_inputs();
  const at::Tensor positions = at::tensor({0, 4, 11, 20}, at::kLong);
  const auto outcome = [&](bool from_boundary) {
    Factors factors(program, {"up_weight", "head_weight"});
    const Executable executable = program.executable(factors.hooks);
    REQUIRE(executable.has_boundary());
    ModelInputs given = inputs;
    if (from_boundary) {
      given.boundary = executable.boundary(inputs);
      given.attention_mask = at::Tensor();  // looked at below it alone
      CHECK_FALSE(given.boundary.requires_grad());
      CHECK(given.boundary.sizes() == at::IntArrayRef({3, 9, 16}));
    }
    const at::Tensor logits = executable.logits_at(given, positions);
    logits.square().sum().backward();
    return std::tuple(logits.detach(), factors.values.at("up_weight").grad(),
                      factors.values.at("head_weight").grad());
  };
  const auto whole = outcome(false), part = outcome(true);
  CHECK(at::equal(std::get<0>(whole), std::get<0>(part)));
  CHECK(at::equal(std::get<1>(whole), std::get<1>(part)));
  CHECK(at::equal(std::get<2>(whole), std::get<2>(part)));
}

TEST_CASE(
    "boundary: there is none where a hook or a trained weight is in the lowest layer, or nothing is "
    "trained") {
  const ScriptModels models;
  Program program = loaded(models);
  const auto has_boundary = [&](const std::vector<std::string>& weights) {
    return program.executable(Factors(program, weights).hooks).has_boundary();
  };
  CHECK(has_boundary({"down_weight"}));
  CHECK(has_boundary({"head_weight"}));
  CHECK_FALSE(has_boundary({"query_weight", "down_weight"}));
  CHECK_FALSE(has_boundary({"embed_weight"}));
  CHECK_FALSE(has_boundary({}));
  program.set_weight("down_weight", program.weight("down_weight").value.clone().set_requires_grad(true));
  CHECK(has_boundary({"head_weight"}));
  program.set_weight("value_weight", program.weight("value_weight").value.clone().set_requires_grad(true));
  CHECK_FALSE(has_boundary({"head_weight"}));
  program.split_at_boundary(false);
  CHECK_FALSE(has_boundary({"down_weight"}));
}
