#include <ATen/ATen.h>

#include <cmath>

#include "base/json.h"
#include "lora/merge/verify.h"
#include "merge/adapter_checks.h"
#include "support/catch.h"
#include "support/sample_adapter.h"
#include "support/temporary_folder.h"

using namespace lora;
using namespace lora::test;

namespace {

struct Bench {
  Bench() : model(every_kind_model(folder.path(), Head::classifier)), program(Program::load(model)) {
    adapter = random_adapter(program, {"c_attn:query", "up"}, {"classifier"});
    write();
  }

  void write() { write_adapter_folder(path, pack_adapter(program, adapter, provenance_of(program)), ""); }

  VerifyConfig config() const {
    VerifyConfig config;
    config.adapters = {path.string()};
    config.model = model.string();
    config.json = true;
    return config;
  }

  /// Results by the name of the check.
  std::map<std::string, std::string> results(int expected) {
    int code = -1;
    const Json report = Json::parse(output_of([&] { code = verify(config()); }));
    CHECK(code == expected);
    std::map<std::string, std::string> results;
    for (const Json& check : report[0]["checks"]) results[check["check"]] = check["result"];
    return results;
  }

  TemporaryFolder folder;
  std::filesystem::path model, path = folder / "adapter";
  Program program;
  Adapter adapter;
};

}  // namespace

TEST_CASE("verify: a sound adapter passes every check") {
  Bench bench;
  for (const auto& [name, result] : bench.results(0)) CHECK(result == "ok");
  const std::string fingerprint = bench.program.fingerprint();
  Program base = Program::load(bench.model);
  const auto weight = base.weight("classifier.weight").value;
  check_adapter(bench.path, &base);
  CHECK(
      base.weight("classifier.weight").value.is_same(weight));  // nothing of the adapter is left in the base
}

TEST_CASE("verify: without a base, what needs one is not checked") {
  Bench bench;
  bench.model.clear();
  const auto results = bench.results(0);
  CHECK(results.at("structure") == "ok");
  CHECK(results.at("fits the base") == "not checked");
  CHECK(results.at("merged against live") == "not checked");
}

TEST_CASE("verify: goes on after a failure, and its exit code is the first failure's") {
  Bench bench;
  bench.adapter.saved_weights.at("classifier.bias")[0] = std::nan("");
  for (auto& [leaf, tensor] : bench.adapter.targets.back().tensors) tensor.zero_();
  bench.write();
  const auto results = bench.results(static_cast<int>(ExitCode::file));
  CHECK(results.at("finite values") == "failed");
  CHECK(results.at("trained") == "failed");
  CHECK(results.at("fits the base") == "failed");
  CHECK(results.at("merged against live") == "not checked");
}

TEST_CASE("verify: a damaged file fails its structure, another base its fit") {
  Bench bench;
  const TemporaryFolder other;
  bench.model = every_kind_model(other.path(), Head::own);
  CHECK(bench.results(static_cast<int>(ExitCode::mismatch)).at("fits the base") == "failed");
  edit(bench.path / "adapter_config.json", "\"r\": 2", "\"r\": 3");
  const auto results = bench.results(static_cast<int>(ExitCode::file));
  CHECK(results.at("structure") == "failed");
  CHECK(results.at("trained") == "not checked");
}
