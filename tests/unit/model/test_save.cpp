#include <ATen/ATen.h>

#include "lora/model/program.h"
#include "model/archive.h"
#include "support/catch.h"
#include "support/script_models.h"

using namespace lora;
using lora::test::ScriptModels;

TEST_CASE("save: only the replaced weight changes, everything else is bit-identical") {
  ScriptModels models;
  const auto source = models.transformer(), out = models.folder() / "out.pt";
  const at::Tensor replacement = at::randn({16, 16});
  Program::load(source).save(out, {{"query_weight", replacement}}, R"({"adapter": "abc"})");
  const Program before = Program::load(source), after = Program::load(out);
  REQUIRE(before.weights().size() == after.weights().size());
  for (const Weight& weight : before.weights()) {
    const at::Tensor expected = weight.path == "query_weight" ? replacement : weight.value;
    CHECK(at::equal(after.weight(weight.path).value, expected));
  }
  CHECK(read_provenance(out) == R"({"adapter": "abc"})");
  CHECK(read_provenance(source).empty());
}

TEST_CASE("save: the entries of other weights and of the code are the same bytes") {
  ScriptModels models;
  const auto source = models.transformer(), out = models.folder() / "out.pt";
  Program::load(source).save(out, {{"query_weight", at::randn({16, 16})}}, "{}");
  const Archive before = load_archive(source), after = load_archive(out);
  REQUIRE(after.entries.size() == before.entries.size() + 1);
  std::size_t changed = 0;
  for (std::size_t i = 0; i < before.entries.size(); ++i) {
    CHECK(after.entries[i].name == before.entries[i].name);
    changed += after.entries[i].bytes != before.entries[i].bytes;
  }
  CHECK(changed == 1);
}

TEST_CASE("save: provenance is replaced, and taken away by none") {
  ScriptModels models;
  const auto source = models.transformer(), first = models.folder() / "1.pt",
             second = models.folder() / "2.pt";
  Program::load(source).save(first, {}, R"({"a": 1})");
  CHECK(read_provenance(first) == R"({"a": 1})");
  Program::load(first).save(second, {}, R"({"b": 2})");
  CHECK(read_provenance(second) == R"({"b": 2})");
  Program::load(second).save(first, {}, "");
  CHECK(read_provenance(first).empty());
}
