#include <ATen/ATen.h>

#include "base/json.h"
#include "lora/kernels/low_rank.h"
#include "lora/merge/bake.h"
#include "lora/merge/extract.h"
#include "support/catch.h"
#include "support/errors.h"
#include "support/sample_adapter.h"
#include "support/temporary_folder.h"

using namespace lora;
using namespace lora::test;

namespace {

const std::vector<std::string> kEveryKind = {"wte", "c_attn", "c_proj", "up", "down"};

class Bench {
 public:
  explicit Bench(Head head = Head::own) : base(every_kind_model(folder.path(), head)) {}

  /// The base with noise on the named weights.
  void tune(const std::vector<std::string>& names) {
    const Program program = Program::load(base);
    std::map<std::string, at::Tensor> changed;
    at::manual_seed(7);
    for (const std::string& name : names) {
      const at::Tensor value = program.weight(name).value;
      changed[name] = value + at::randn_like(value) * 0.05;
    }
    program.save(tuned, changed, "{}");
  }

  ExtractConfig config(std::int64_t rank = 4) const {
    ExtractConfig config;
    config.base = base.string();
    config.tuned = tuned.string();
    config.out = out.string();
    config.targets = kEveryKind;
    config.rank = rank;
    return config;
  }

  Json extracted(ExtractConfig config) const {
    config.json = true;
    config.overwrite = true;
    return Json::parse(output_of([&] { extract(config); }));
  }

  void require_refused(ExtractConfig config, ExitCode code, std::initializer_list<std::string> parts) const {
    config.overwrite = true;
    require_error([&] { output_of([&] { extract(config); }); }, code, parts);
  }

  /// The base with the extracted adapter baked in.
  Program baked() const {
    BakeConfig config;
    config.model.path = base.string();
    config.adapters = {out.string()};
    config.out = (folder / "baked.pt").string();
    config.overwrite = true;
    output_of([&] { bake(config); });
    return Program::load(config.out);
  }

  TemporaryFolder folder;
  std::filesystem::path base, tuned = folder / "tuned.pt", out = folder / "adapter";
};

const std::vector<std::string> kMatrices = {"wte.weight", "attn.c_attn.weight", "attn.c_proj.weight",
                                            "mlp.up.weight", "mlp.down.weight"};

}  // namespace

TEST_CASE("extract: baking the full rank gives the tuned model, for every kind of weight") {
  Bench bench;
  bench.tune(kMatrices);
  const Json report = bench.extracted(bench.config(100));
  CHECK(report["modules"].size() == 5);
  CHECK(report["relative_error"].get<double>() < 1e-6);
  const Program baked = bench.baked(), tuned = Program::load(bench.tuned);
  for (const Weight& weight : tuned.weights()) {
    INFO(weight.path);
    CHECK(at::allclose(baked.weight(weight.path).value, weight.value, 0, 1e-6));
  }
}

TEST_CASE("extract: the printed error is that of the baked model, and each module is the best of its rank") {
  Bench bench;
  bench.tune(kMatrices);
  const Json report = bench.extracted(bench.config(4));
  const Program base = Program::load(bench.base), baked = bench.baked(), tuned = Program::load(bench.tuned);
  for (const Json& module : report["modules"]) {
    const std::string weight = module["module"].get<std::string>() + ".weight";
    const at::Tensor change = (tuned.weight(weight).value - base.weight(weight).value).to(at::kDouble);
    const at::Tensor rest = (tuned.weight(weight).value - baked.weight(weight).value).to(at::kDouble);
    const double best = (change - full_svd(change).first(4).product()).norm().item<double>();
    CHECK(rest.norm().item<double>() <= 1.01 * best);
    CHECK(module["relative_error"].get<double>() ==
          Catch::Detail::Approx((rest.norm() / change.norm()).item<double>()).epsilon(1e-3));
  }
}

TEST_CASE("extract: a low-rank difference comes back at its own rank by error") {
  Bench bench;
  const Program program = Program::load(bench.base);
  const Adapter adapter = random_adapter(program, {"up", "c_attn"});
  program.save(bench.tuned, merged_weights(program, adapter), "{}");
  ExtractConfig config = bench.config();
  config.rank.reset();
  config.error = 1e-3;
  const Json report = bench.extracted(config);
  REQUIRE(report["modules"].size() == 2);
  for (const Json& module : report["modules"]) CHECK(module["rank"] == 2);
  CHECK(report["unchanged"].size() == 3);
}

TEST_CASE("extract: changes outside the targets are reported, and stored whole by choice") {
  Bench bench(Head::classifier);
  bench.tune({"mlp.up.weight", "mlp.up.bias", "classifier.weight"});
  ExtractConfig config = bench.config(100);
  Json report = bench.extracted(config);
  REQUIRE(report["changed_outside_targets"].size() == 2);
  const double without = report["relative_error"];
  CHECK(without > 0.1);
  CHECK(report["relative_error_of_targets"].get<double>() < 1e-6);
  config.whole = true;
  report = bench.extracted(config);
  // The bias of an adapted module has no place in the adapter; the classifier has.
  CHECK(report["changed_outside_targets"][0] == Json({{"weight", "classifier.weight"},
                                                      {"norm", report["changed_outside_targets"][0]["norm"]},
                                                      {"stored_whole", true}}));
  CHECK(report["changed_outside_targets"][1]["weight"] == "mlp.up.bias");
  CHECK(report["changed_outside_targets"][1]["stored_whole"] == false);
  CHECK(report["relative_error"].get<double>() < without);
  const Program tuned = Program::load(bench.tuned);
  CHECK(at::equal(bench.baked().weight("classifier.weight").value, tuned.weight("classifier.weight").value));
  CHECK(read_adapter_folder(bench.out).config.modules_to_save == std::vector<std::string>{"classifier"});
}

TEST_CASE("extract: tied weights are adapted once and never stored whole") {
  Bench bench(Head::aliased);
  bench.tune({"mlp.up.weight"});
  const Program program = Program::load(bench.base);
  const at::Tensor value = program.weight("wte.weight").value + 0.1;
  const at::Tensor up = program.weight("mlp.up.weight").value + 0.1;
  program.save(bench.tuned, {{"wte.weight", value}, {"lm_head.weight", value}, {"mlp.up.weight", up}}, "{}");
  ExtractConfig config = bench.config();
  config.targets = {"up"};
  CHECK(bench.extracted(config)["changed_outside_targets"].size() == 1);
  config.whole = true;
  bench.require_refused(config, ExitCode::mismatch, {"wte.weight", "cannot be stored whole"});
  config.targets = {"up", "wte"};
  config.rank = 100;
  const Json report = bench.extracted(config);
  CHECK(report["changed_outside_targets"][0]["weight"] == "wte.weight");  // in its use as the head
  CHECK(report["relative_error"].get<double>() > 0.5);
  config.whole = false;
  config.targets = {"wte", "lm_head"};
  bench.require_refused(config, ExitCode::mismatch, {"one tied weight"});
}

TEST_CASE("extract: nothing that differs is refused, with what differs elsewhere") {
  Bench bench;
  ExtractConfig config = bench.config();
  config.tuned = config.base;
  bench.require_refused(config, ExitCode::mismatch, {"none of the 5 targets differs"});
  bench.tune({"mlp.up.bias"});
  bench.require_refused(bench.config(), ExitCode::mismatch, {"these other weights do", "mlp.up.bias"});
  CHECK_FALSE(std::filesystem::exists(bench.out / "adapter_config.json"));
}

TEST_CASE("extract: models of different structure are refused with every difference") {
  Bench bench;
  ExtractConfig config = bench.config();
  config.tuned = every_kind_model(bench.folder.path(), Head::classifier).string();
  bench.require_refused(config, ExitCode::mismatch,
                        {"3 mismatches", "lm_head.weight: only in the base",
                         "classifier.weight: only in the tuned", "classifier.bias: only in the tuned"});
}

TEST_CASE("extract: slices, two measures and inputs as output are usage errors") {
  Bench bench;
  bench.tune(kMatrices);
  ExtractConfig config = bench.config();
  config.targets = {"c_attn:query"};
  bench.require_refused(config, ExitCode::usage, {"is a slice", "--targets attn.c_attn"});
  config = bench.config();
  config.energy = 0.5;
  bench.require_refused(config, ExitCode::usage, {"exactly one of"});
  config = bench.config();
  config.out = config.base;
  bench.require_refused(config, ExitCode::usage, {"is an input"});
}
