#include <ATen/ATen.h>

#include <cmath>

#include "base/json.h"
#include "lora/merge/diff.h"
#include "support/catch.h"
#include "support/errors.h"
#include "support/sample_adapter.h"
#include "support/temporary_folder.h"

using namespace lora;
using namespace lora::test;

namespace {

struct Bench {
  Bench() : program(Program::load(every_kind_model(folder.path(), Head::classifier))) {
    first = random_adapter(program, {"wte", "c_attn", "up"}, {"classifier"});
    second = first;
    for (auto& [name, tensor] : second.tensors()) *tensor = tensor->clone();
  }

  Json difference() {
    const auto put = [&](const char* name, const Adapter& adapter) {
      write_adapter_folder(folder / name, pack_adapter(program, adapter, provenance_of(program)), "");
      return (folder / name).string();
    };
    const DiffConfig config{put("first", first), put("second", second), true};
    return Json::parse(output_of([&] { diff(config); }));
  }

  TemporaryFolder folder;
  Program program;
  Adapter first, second;
};

Json module_of(const Json& report, const std::string& name) {
  for (const Json& module : report["modules"]) {
    if (module["module"] == name) return module;
  }
  FAIL("no module " << name);
  return {};
}

/// Without the factored formulas.
at::Tensor dense(const AdaptedTarget& adapted) {
  const at::Tensor A = adapted.tensors.at("lora_A.weight"), B = adapted.tensors.at("lora_B.weight");
  return at::mm(B.to(at::kDouble), A.to(at::kDouble)) * adapted.config.scale();
}

Catch::Detail::Approx near(double value) { return Catch::Detail::Approx(value).epsilon(1e-6); }

}  // namespace

TEST_CASE("diff: equal adapters have cosine one, full overlap and no distance") {
  Bench bench;
  const Json report = bench.difference();
  REQUIRE(report["modules"].size() == 3);
  for (const Json& module : report["modules"]) {
    CHECK(module["cosine"].get<double>() == near(1));
    CHECK(module["distance"].get<double>() < 1e-6 * module["norms"][0].get<double>());
    CHECK(module["output_similarity"].back().back().get<double>() == near(1));
  }
  CHECK(report["other_tensors"]["classifier.weight"] == 0);
  CHECK(report["settings"].empty());
}

TEST_CASE("diff: cosine, norms and distance are those of the dense updates; a negated one has cosine -1") {
  Bench bench;
  AdaptedTarget& up = bench.second.targets.back();
  const at::Tensor before = dense(up);
  at::manual_seed(3);
  up.tensors.at("lora_B.weight") = at::randn_like(up.tensors.at("lora_B.weight"));
  bench.second.targets.front().tensors.begin()->second.neg_();
  const Json report = bench.difference(), module = module_of(report, "mlp.up");
  const at::Tensor after = dense(up);
  const double product = (before * after).sum().item<double>();
  CHECK(module["cosine"].get<double>() == near(product / (before.norm() * after.norm()).item<double>()));
  CHECK(module["distance"].get<double>() == near((before - after).norm().item<double>()));
  CHECK(module["norms"][1].get<double>() == near(after.norm().item<double>()));
  CHECK(module_of(report, "wte")["cosine"].get<double>() == near(-1));
}

TEST_CASE("diff: modules of one adapter, and settings that differ, are listed") {
  Bench bench;
  bench.second.targets.erase(bench.second.targets.begin());
  for (AdaptedTarget& adapted : bench.second.targets) adapted.config.alpha = 40;
  const Json report = bench.difference();
  CHECK(report["only_first"] == Json({"wte"}));
  CHECK(report["settings"].dump().find("alpha 4 and 40") != std::string::npos);
}

TEST_CASE("diff: adapters of models with other shapes are refused with every difference") {
  TemporaryFolder folder;
  for (const std::int64_t in : {4, 6}) {
    AdapterFolder adapter;
    for (const char* module : {"base_model.model.a", "base_model.model.b"}) {
      adapter.tensors[std::string(module) + ".lora_A.weight"] = at::ones({2, in});
      adapter.tensors[std::string(module) + ".lora_B.weight"] = at::ones({5, 2});
    }
    adapter.config.defaults.rank = 2;
    adapter.config.target_modules = {"a", "b"};
    write_adapter_folder(folder / std::to_string(in), adapter, "");
  }
  const DiffConfig config{(folder / "4").string(), (folder / "6").string(), false};
  require_error([&] { diff(config); }, ExitCode::mismatch,
                {"2 shapes differ", "a  4 inputs and 5 outputs; 6 inputs", "  b  "});
}
