#include <ATen/ATen.h>

#include "lora/adapter/adapter.h"
#include "support/catch.h"
#include "support/errors.h"
#include "support/every_kind_model.h"
#include "support/sample_adapter.h"
#include "support/temporary_folder.h"

using namespace lora;
using namespace lora::test;

namespace {

struct Bench {
  TemporaryFolder folder;
  Program program = Program::load(every_kind_model(folder.path()));

  std::vector<std::string> saved(const std::vector<std::string>& patterns, const std::string& mode) const {
    Adapter adapter = random_adapter(program, patterns);
    add_biases(program, adapter, mode);
    std::vector<std::string> paths;
    for (const auto& [path, value] : adapter.saved_weights) paths.push_back(path);
    return paths;
  }
};

}  // namespace

TEST_CASE("biases: none, those of the targets, or all of the model's") {
  const Bench bench;
  CHECK(bench.saved({"up", "down"}, "none").empty());
  CHECK(bench.saved({"up", "down"}, "lora_only") == std::vector<std::string>{"mlp.up.bias"});
  CHECK(bench.saved({"down"}, "all") == std::vector<std::string>{"attn.c_attn.bias", "mlp.up.bias"});
}

TEST_CASE("biases: a choice that matches nothing is a usage error") {
  const Bench bench;
  require_error([&] { bench.saved({"down"}, "lora_only"); }, ExitCode::usage,
                {"lora_only", "no such biases"});
}

TEST_CASE("biases: an adapter folder keeps them, and a missing one is a mismatch") {
  const Bench bench;
  Adapter adapter = random_adapter(bench.program, {"up", "down"});
  add_biases(bench.program, adapter, "all");
  for (auto& [path, value] : adapter.saved_weights) value.add_(0.5);
  AdapterFolder folder = pack_adapter(bench.program, adapter, provenance_of(bench.program));
  CHECK(folder.config.bias == "all");
  CHECK(folder.config.modules_to_save.empty());
  CHECK(folder.tensors.count("base_model.model.mlp.up.base_layer.bias"));
  CHECK(folder.tensors.count("base_model.model.attn.c_attn.bias"));
  const Adapter read = fit_adapter(folder, bench.program);
  REQUIRE(read.saved_weights.size() == 2);
  for (const auto& [path, value] : read.saved_weights)
    CHECK(at::equal(value, adapter.saved_weights.at(path)));
  CHECK(read.bias == "all");
  folder.tensors.erase("base_model.model.attn.c_attn.bias");
  require_error([&] { fit_adapter(folder, bench.program); }, ExitCode::mismatch,
                {"attn.c_attn.bias  has no tensor in the adapter, whose bias is all"});
  folder.config.bias = "none";
  require_error([&] { fit_adapter(folder, bench.program); }, ExitCode::mismatch,
                {"mlp.up.bias  is in no module of modules_to_save"});
}
