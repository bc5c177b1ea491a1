#include <ATen/ATen.h>

#include "lora/model/program.h"
#include "support/script_models.h"
#include "support/catch.h"

using namespace lora;
using lora::test::ScriptModels;

TEST_CASE("save: only the replaced weight changes, everything else is bit-identical") {
  ScriptModels models;
  const auto source = models.transformer(), out = models.folder() / "out.pt";
  const at::Tensor replacement = at::randn({16, 16});
  save_model(source, out, {{"query_weight", replacement}}, R"({"adapter": "abc"})");
  const Program before = Program::load(source), after = Program::load(out);
  REQUIRE(before.weights().size() == after.weights().size());
  for (const Weight& weight : before.weights()) {
    const at::Tensor expected = weight.path == "query_weight" ? replacement : weight.value;
    CHECK(at::equal(after.weight(weight.path).value, expected));
  }
  CHECK(read_provenance(out) == R"({"adapter": "abc"})");
  CHECK(read_provenance(source).empty());
}
