#include <ATen/ATen.h>

#include "base/json.h"
#include "lora/checkpoint/safetensors.h"
#include "lora/merge/inspect.h"
#include "support/catch.h"
#include "support/errors.h"
#include "support/sample_adapter.h"
#include "support/temporary_folder.h"

using namespace lora;
using namespace lora::test;

namespace {

InspectConfig asked(const std::filesystem::path& adapter, bool json) {
  InspectConfig config;
  config.adapter = adapter.string();
  config.json = json;
  return config;
}

struct Bench {
  Bench() : program(Program::load(every_kind_model(folder.path(), Head::classifier))) {
    adapter = random_adapter(program, {"wte", "c_attn:query", "c_attn:value", "up"}, {"classifier"});
    write_adapter_folder(path, pack_adapter(program, adapter, provenance_of(program)), "");
  }

  std::string text() const { return inspected(false); }
  Json json() const { return Json::parse(inspected(true)); }
  std::string inspected(bool json) const {
    return output_of([&] { inspect(asked(path, json)); });
  }

  TemporaryFolder folder;
  Program program;
  Adapter adapter;
  std::filesystem::path path = folder / "adapter";
};

}  // namespace

TEST_CASE("inspect: the JSON holds ranks, parameters, norms and provenance, without the base") {
  const Bench bench;
  std::filesystem::remove(bench.program.path());
  const Json report = bench.json();
  CHECK(report["base"] == "tiny-base");
  CHECK(report["base_fingerprint"] == bench.program.fingerprint());
  CHECK(report["facts"] == Json({{"step", "12"}}));
  CHECK(report["task_type"] == "SEQ_CLS");
  REQUIRE(report["modules"].size() == 3);
  for (const Json& module : report["modules"]) {
    if (module["module"] != "mlp.up") continue;
    const SiteTensors& tensors = bench.adapter.targets.back().tensors;
    const at::Tensor update = at::mm(tensors.at("lora_B.weight"), tensors.at("lora_A.weight")) * 2.0;
    CHECK(module["rank"] == 2);
    CHECK(module["scale"] == 2.0);
    CHECK(module["in"] == 16);
    CHECK(module["out"] == 24);
    CHECK(module["parameters"] == 2 * 16 + 24 * 2);
    CHECK(module["update_norm"].get<double>() ==
          Catch::Detail::Approx(update.norm().item<double>()).epsilon(1e-5));
  }
  CHECK(report["modules"][0]["slices"] == Json({"query", "value"}));
  CHECK(report["trained_whole"].size() == 2);
  CHECK(report["bytes"] == std::filesystem::file_size(bench.path / "adapter_model.safetensors"));
  CHECK(report["not_finite"].empty());
  CHECK(report["without_update"].empty());
}

TEST_CASE("inspect: the table shows modules, slices and the file's hash") {
  const Bench bench;
  const std::string text = bench.text();
  for (const std::string& part :
       {std::string("attn.c_attn"), std::string("query value"), std::string("tiny-base"),
        std::string("agrees with its recorded hash"), std::string("trained whole: classifier.bias"),
        read_adapter_folder(bench.path).sha256}) {
    INFO(part);
    CHECK(text.find(part) != std::string::npos);
  }
}

TEST_CASE("inspect: untrained and damaged adapters are called so") {
  Bench bench;
  for (auto& [leaf, tensor] : bench.adapter.targets.back().tensors) tensor.zero_();
  bench.adapter.saved_weights.at("classifier.bias")[0] = std::nan("");
  write_adapter_folder(bench.path, pack_adapter(bench.program, bench.adapter, provenance_of(bench.program)),
                       "");
  const std::string text = bench.text();
  CHECK(text.find("untrained: the update is zero in 1 of 3 modules") != std::string::npos);
  CHECK(text.find("damaged: NaN or Inf in base_model.model.classifier.bias") != std::string::npos);
}

TEST_CASE("inspect: text from files reaches the terminal without control characters") {
  const Bench bench;
  AdapterProvenance provenance = provenance_of(bench.program);
  provenance.base_name = "evil\x1b[31m";
  provenance.facts["note"] = "two\nlines\x1b]0;";
  write_adapter_folder(bench.path, pack_adapter(bench.program, bench.adapter, provenance), "");
  const std::string text = bench.text();
  CHECK(text.find("evil") != std::string::npos);
  CHECK(text.find('\x1b') == std::string::npos);
}

TEST_CASE("inspect: a folder that is not there is an io error") {
  const Bench bench;
  require_error([&] { inspect(asked(bench.folder / "absent", false)); }, ExitCode::io, {"does not exist"});
}
