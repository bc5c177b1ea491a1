#include <ATen/ATen.h>

#include <cmath>

#include "base/json.h"
#include "lora/merge/inspect.h"
#include "merge/base_analysis.h"
#include "merge/intruders.h"
#include "merge/site_update.h"
#include "support/catch.h"
#include "support/errors.h"
#include "support/sample_adapter.h"
#include "support/temporary_folder.h"

using namespace lora;
using namespace lora::test;

namespace {

at::Tensor orthonormal(std::int64_t n, std::int64_t k) {
  return std::get<0>(at::linalg_qr(at::randn({n, k}, at::kDouble)));
}

struct Bench {
  explicit Bench(std::vector<std::string> targets = {"wte", "c_attn:query", "c_attn:value", "c_proj", "up"})
      : model(every_kind_model(folder.path())), program(Program::load(model)) {
    adapter = random_adapter(program, targets);
    write_adapter_folder(path, pack_adapter(program, adapter, provenance_of(program)), "");
  }

  InspectConfig config() const {
    InspectConfig config;
    config.adapter = path.string();
    config.base = model.string();
    config.json = true;
    return config;
  }

  TemporaryFolder folder;
  std::filesystem::path model, path = folder / "adapter";
  Program program;
  Adapter adapter;
};

Json inspected(const InspectConfig& config) {
  return Json::parse(output_of([&] { inspect(config); }));
}

Catch::Detail::Approx near(double value) { return Catch::Detail::Approx(value).epsilon(1e-6); }

}  // namespace

TEST_CASE("base analysis: an update along W's own leading directions is no amplification of new ones") {
  Bench bench({"up"});
  AdaptedTarget& up = bench.adapter.targets.front();
  const at::Tensor W = bench.program.weight(up.target.site->weight).value.to(at::kDouble);
  const auto [U, S, Vh] = at::linalg_svd(W, false);
  const std::int64_t r = up.config.rank;
  up.tensors.at("lora_B.weight") = (U.narrow(1, 0, r) * S.narrow(0, 0, r)).to(at::kFloat);
  up.tensors.at("lora_A.weight") = Vh.narrow(0, 0, r).to(at::kFloat);
  const auto facts = analyse_with_base(bench.program, bench.adapter);
  REQUIRE(facts.size() == 1);
  // dW = s W_r: |U'WV| = |W_r|, and the amplification is the scale.
  CHECK(facts[0].amplification == near(up.config.scale()));
  CHECK(facts[0].projected_norm == near(S.narrow(0, 0, r).norm().item<double>()));
  CHECK(facts[0].own_norm == near(facts[0].projected_norm));
  CHECK(facts[0].left_similarity == near(1));
  CHECK(facts[0].right_similarity == near(1));
}

TEST_CASE("base analysis: every figure equals the definition on dense matrices, for every kind of site") {
  const Bench bench;
  const auto facts = analyse_with_base(bench.program, bench.adapter);
  const auto updates = site_updates(bench.adapter);
  REQUIRE(facts.size() == 4);  // two slices are one site
  for (std::size_t i = 0; i < facts.size(); ++i) {
    INFO(facts[i].module);
    const Site& site = *updates[i].site;
    const at::Tensor W = output_by_input(site, bench.program.weight(site.weight).value).to(at::kDouble);
    const at::Tensor delta = updates[i].delta(bench.program);
    REQUIRE(W.sizes() == at::IntArrayRef({site.out, site.in}));
    const auto [U, S, Vh] = at::linalg_svd(delta, false);
    const std::int64_t r = facts[i].rank;
    CHECK(r == updates[i].rank());
    const at::Tensor inner = at::mm(at::mm(U.narrow(1, 0, r).t(), W), Vh.narrow(0, 0, r).t());
    CHECK(facts[i].update_norm == near(delta.norm().item<double>()));
    CHECK(facts[i].weight_norm == near(W.norm().item<double>()));
    CHECK(facts[i].projected_norm == near(inner.norm().item<double>()));
    CHECK(facts[i].amplification == near(facts[i].update_norm / facts[i].projected_norm));
  }
}

TEST_CASE("intruders: a strong direction that the base lacks is found, a scaled old one is not") {
  at::manual_seed(5);
  const at::Tensor U = orthonormal(40, 30), V = orthonormal(30, 30);
  const at::Tensor base = at::mm(U * at::linspace(10, 1, 30, at::kDouble), V.t());
  at::Tensor outside = at::randn({40, 1}, at::kDouble);
  outside = outside - at::mm(U, at::mm(U.t(), outside));
  outside = outside / outside.norm();
  CHECK(find_intruders(base, base * 3).empty());
  CHECK(find_intruders(base, base + 5 * at::mm(U.narrow(1, 3, 1), V.narrow(1, 3, 1).t())).empty());
  const auto found = find_intruders(base, base + 20 * at::mm(outside, V.narrow(1, 29, 1).t()));
  REQUIRE(found.size() == 1);
  CHECK(found[0].index == 0);
  CHECK(found[0].closest < 0.1);
  CHECK(std::abs(at::dot(found[0].u.to(at::kDouble), outside.flatten()).item<double>()) > 0.99);
  CHECK(find_intruders(base, base + 20 * at::mm(outside, V.narrow(1, 29, 1).t()), {10, 1e-3}).empty());
}

TEST_CASE(
    "inspect --base: shrunk intruders scale their singular values in the merged weights and nothing else") {
  Bench bench({"c_attn:query", "up"});
  // Updates far stronger than the base: their directions lead and are no direction of the base.
  for (auto& [name, tensor] : bench.adapter.tensors()) tensor->mul_(20);
  write_adapter_folder(bench.path, pack_adapter(bench.program, bench.adapter, provenance_of(bench.program)),
                       "");
  InspectConfig config = bench.config();
  config.intruder_threshold = 0.9;
  config.intruder_directions = 2;
  config.shrink_intruders = 0.25;
  config.out = (bench.folder / "shrunk").string();
  const Json report = inspected(config);
  const Adapter shrunk = fit_adapter(read_adapter_folder(config.out), bench.program);
  const auto before = site_updates(bench.adapter), after = site_updates(shrunk);
  REQUIRE(before.size() == after.size());
  std::size_t intruders = 0;
  for (std::size_t i = 0; i < before.size(); ++i) {
    const Site& site = *before[i].site;
    const at::Tensor W = output_by_input(site, bench.program.weight(site.weight).value).to(at::kDouble);
    at::Tensor expected = W + before[i].delta(bench.program);
    const auto [U, S, Vh] = at::linalg_svd(expected, false);
    for (const Json& each : report["intruders"][site.path]) {
      const auto k = each["index"].get<std::int64_t>();
      expected = expected - 0.75 * S[k] * at::mm(U.narrow(1, k, 1), Vh.narrow(0, k, 1));
      ++intruders;
    }
    const at::Tensor found = W + after[i].delta(bench.program);
    CHECK((found - expected).norm().item<double>() < 1e-4 * expected.norm().item<double>());
  }
  CHECK(intruders > 0);
}

TEST_CASE("inspect --base: options that need each other, and a shrinking without intruders, are refused") {
  const Bench bench;
  InspectConfig config = bench.config();
  config.base.clear();
  config.intruders = true;
  require_error([&] { inspect(config); }, ExitCode::usage, {"beside the base's weights"});
  config = bench.config();
  config.shrink_intruders = 0.5;
  require_error([&] { inspect(config); }, ExitCode::usage, {"--shrink-intruders and --out belong together"});
  config.out = (bench.folder / "shrunk").string();
  config.intruder_threshold = 0;
  require_error([&] { inspect(config); }, ExitCode::mismatch, {"no intruder dimensions"});
  CHECK_FALSE(std::filesystem::exists(std::filesystem::path(config.out) / "adapter_model.safetensors"));
  config.out = config.adapter;
  require_error([&] { inspect(config); }, ExitCode::usage, {"input"});
}
