#include <ATen/ATen.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/serialization/import.h>

#include <cstdlib>

#include "lora/base/error.h"
#include "lora/model/cached_executable.h"
#include "lora/model/program.h"
#include "support/catch.h"
#include "support/script_models.h"

using namespace lora;
using lora::test::ScriptModels;

namespace {

ModelInputs some_inputs(std::int64_t vocabulary) {
  at::manual_seed(3);
  ModelInputs inputs;
  inputs.input_ids = at::randint(1, vocabulary, {3, 11}, at::kLong);
  inputs.attention_mask = at::ones_like(inputs.input_ids);
  inputs.attention_mask.narrow(0, 0, 1).narrow(1, 8, 3).zero_();
  return inputs;
}

/// What the module itself answers, without any lowering.
at::Tensor module_logits(const std::filesystem::path& path, const ModelInfo& info,
                         const ModelInputs& inputs) {
  torch::jit::Module module = torch::jit::load(path.string());
  module.eval();
  std::vector<c10::IValue> arguments;
  for (const std::string& name : info.inputs) {
    if (name == "input_ids")
      arguments.emplace_back(inputs.input_ids);
    else if (name == "attention_mask")
      arguments.emplace_back(inputs.attention_mask);
    else
      arguments.emplace_back(at::zeros_like(inputs.input_ids));
  }
  const c10::IValue output = module.forward(arguments);
  if (output.isTensor()) return output.toTensor();
  if (output.isTuple()) return output.toTupleRef().elements()[0].toTensor();
  return output.toGenericDict().at("logits").toTensor();
}

SiteRole role(const Program& program, const std::string& weight) {
  for (const Site& site : program.sites()) {
    if (site.weight == weight) return site.role;
  }
  FAIL("no site " << weight);
  return SiteRole::other;
}

std::vector<HookedSite> hooks_everywhere(const Program& program, const SiteHook& hook) {
  std::vector<HookedSite> hooks;
  for (const Site& site : program.sites()) hooks.push_back({&site, hook});
  return hooks;
}

ExitCode load_code(const std::filesystem::path& path, const std::string& in_message) {
  try {
    Program::load(path);
  } catch (const Error& error) {
    INFO(error.what());
    CHECK(std::string(error.what()).find(in_message) != std::string::npos);
    CHECK_FALSE(error.hint().empty());
    return error.code();
  }
  return ExitCode::ok;
}

std::vector<std::filesystem::path> exported_fixtures() {
  std::vector<std::filesystem::path> paths;
  const char* folder = std::getenv("LORA_FIXTURES");
  if (!folder || !std::filesystem::is_directory(folder)) return paths;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    // tiny_frozen is there to be refused.
    const auto& path = entry.path();
    if (path.extension() == ".pt" && path.stem() != "tiny_frozen") paths.push_back(path);
  }
  return paths;
}

}  // namespace

TEST_CASE("program: the lowered graph equals the module bit for bit") {
  ScriptModels models;
  for (const char* returns : {"logits", "(logits, h)", "{'logits': logits}"}) {
    const auto path = models.transformer(returns);
    const Program program = Program::load(path);
    const ModelInputs inputs = some_inputs(50);
    const at::NoGradGuard no_grad;
    CHECK(at::equal(program.executable().logits(inputs), module_logits(path, program.info(), inputs)));
  }
}

TEST_CASE(
    "program: every exported architecture equals its module, plain and with hooks that change nothing") {
  const auto paths = exported_fixtures();
  if (paths.empty()) {
    WARN("skipped: no exported fixtures (tests/fixtures/make_fixtures.py makes them)");
    return;
  }
  for (const auto& path : paths) {
    INFO(path);
    const Program program = Program::load(path);
    const ModelInputs inputs = some_inputs(std::min<std::int64_t>(program.info().vocab_size, 60));
    const at::NoGradGuard no_grad;
    const at::Tensor expected = module_logits(path, program.info(), inputs);
    CHECK(at::equal(program.executable().logits(inputs), expected));
    std::size_t calls = 0, uses = 0;
    for (const Site& site : program.sites()) uses += static_cast<std::size_t>(site.uses);
    const auto hooked = program.executable(hooks_everywhere(program, [&](const SiteValues& values) {
      ++calls;
      return values.output + 0.0;
    }));
    CHECK(at::equal(hooked.logits(inputs), expected));
    CHECK(calls == uses);
  }
}

TEST_CASE("program: keys and values of every exported decoder are appended where they are") {
  int decoders = 0;
  for (const auto& path : exported_fixtures()) {
    INFO(path);
    const Program program = Program::load(path);
    if (!program.info().past) continue;
    const auto cached = program.cached_executable();
    REQUIRE(cached);
    CHECK(cached->appends_in_place());
    ++decoders;
  }
  CHECK((decoders > 0 || exported_fixtures().empty()));
}

TEST_CASE("program: every exported architecture has queries, keys and values, as sites or as slices") {
  for (const auto& path : exported_fixtures()) {
    INFO(path);
    const Program program = Program::load(path);
    const auto targets = resolve_targets(program.sites(), {{"qv"}, {}, ""});
    std::size_t queries = 0, values = 0;
    for (const Target& target : targets) {
      const SiteRole found = target.slice ? target.slice->role : target.site->role;
      (found == SiteRole::query ? queries : values) += 1;
    }
    CHECK(queries >= 1);
    CHECK(queries == values);
  }
}

TEST_CASE("program: roles come from data flow through eager attention") {
  ScriptModels models;
  const Program program = Program::load(models.transformer());
  CHECK(role(program, "embed_weight") == SiteRole::embedding);
  CHECK(role(program, "query_weight") == SiteRole::query);
  CHECK(role(program, "key_weight") == SiteRole::key);
  CHECK(role(program, "value_weight") == SiteRole::value);
  CHECK(role(program, "output_weight") == SiteRole::attention_output);
  CHECK(role(program, "head_weight") == SiteRole::head);
  CHECK(program.info().vocab_size == 50);
  CHECK(program.info().hidden_size == 16);
}

TEST_CASE("program: logits at positions equal the rows of all logits, head skipped elsewhere") {
  ScriptModels models;
  const Program program = Program::load(models.transformer());
  const Executable executable = program.executable();
  const ModelInputs inputs = some_inputs(50);
  const at::Tensor positions = at::tensor({0, 7, 20, 32}, at::kLong);
  const at::NoGradGuard no_grad;
  const at::Tensor all = executable.logits(inputs).flatten(0, 1).index_select(0, positions);
  CHECK(executable.splits_at_head());
  CHECK(at::allclose(executable.logits_at(inputs, positions), all, 1e-5, 1e-5));
}

TEST_CASE("program: a hook at the head sees the selected rows only") {
  ScriptModels models;
  const Program program = Program::load(models.transformer());
  std::vector<std::int64_t> seen;
  const auto executable = program.executable(hooks_everywhere(program, [&](const SiteValues& values) {
    if (values.output.size(-1) == 50) seen = values.input.sizes().vec();
    return values.output;
  }));
  const at::NoGradGuard no_grad;
  executable.logits_at(some_inputs(50), at::tensor({0, 7}, at::kLong));
  CHECK(seen == std::vector<std::int64_t>{2, 16});
}

TEST_CASE("program: gradients reach hooks and replaced weights, and no frozen weight") {
  ScriptModels models;
  Program program = Program::load(models.transformer());
  at::Tensor shift = at::zeros({16}).requires_grad_(true);
  at::Tensor trained = program.weight("up_weight").value.clone().requires_grad_(true);
  program.set_weight("up_weight", trained);
  std::vector<HookedSite> hooks;
  for (const Site& site : program.sites()) {
    if (site.weight == "query_weight")
      hooks.push_back({&site, [&](const SiteValues& v) { return v.output + shift; }});
  }
  const auto executable = program.executable(hooks);
  executable.logits(some_inputs(50)).pow(2).sum().backward();
  CHECK(shift.grad().abs().max().item<float>() > 0);
  CHECK(trained.grad().abs().max().item<float>() > 0);
  for (const Weight& weight : program.weights()) {
    if (weight.path != "up_weight") CHECK_FALSE(weight.value.requires_grad());
  }
}

TEST_CASE("program: the hash of the code changes with the code and with nothing else") {
  ScriptModels models;
  const auto path = models.transformer();
  const Program program = Program::load(path);
  CHECK(program.code_hash().size() == 64);
  CHECK(Program::load(models.transformer("(logits, h)")).code_hash() != program.code_hash());
  const auto changed = models.folder() / "changed.pt";
  program.save(changed, {{"up_weight", program.weight("up_weight").value + 1}}, "{}");
  CHECK(Program::load(changed).code_hash() == program.code_hash());
}

TEST_CASE("program: the fingerprint changes with one bit of one weight and with nothing else") {
  ScriptModels models;
  const auto path = models.transformer();
  const std::string first = Program::load(path).fingerprint();
  CHECK(first.size() == 64);
  CHECK(Program::load(models.transformer("(logits, h)")).fingerprint() == first);
  const auto changed = models.folder() / "changed.pt";
  at::Tensor weight = Program::load(path).weight("up_weight").value.clone();
  weight.view(at::kInt).view({-1}).narrow(0, 5, 1).bitwise_xor_(1);
  Program::load(path).save(changed, {{"up_weight", weight}}, "{}");
  CHECK(Program::load(changed).fingerprint() != first);
}

TEST_CASE("program: the fingerprint changes when two layers change places") {
  ScriptModels models;
  const Program program = Program::load(models.transformer());
  const auto permuted = models.folder() / "permuted.pt";
  program.save(permuted,
               {{"query_weight", program.weight("key_weight").value},
                {"key_weight", program.weight("query_weight").value}},
               "{}");
  CHECK(Program::load(permuted).fingerprint() != program.fingerprint());
}

TEST_CASE("program: what cannot be lowered is refused with its name") {
  ScriptModels models;
  CHECK(load_code(models.with_forward("sets", R"(
    def forward(self, input_ids):
        self.count = self.count + 1
        return torch.linear(torch.embedding(self.w, input_ids), self.w)
  )"),
                  "prim::SetAttr") == ExitCode::file);
  CHECK(load_code(models.with_forward("strange", R"(
    def forward(self, input_ids, temperature: float):
        return torch.linear(torch.embedding(self.w, input_ids), self.w) * temperature
  )"),
                  "temperature") == ExitCode::file);
  CHECK(load_code(models.with_forward("scalar", R"(
    def forward(self, input_ids):
        return torch.embedding(self.w, input_ids).sum()
  )"),
                  "forward returns shape") == ExitCode::file);
}

TEST_CASE("program: weights with NaN are refused by name") {
  ScriptModels models;
  const auto path = models.transformer(), broken = models.folder() / "nan.pt";
  at::Tensor weight = Program::load(path).weight("down_weight").value.clone();
  weight.view({-1}).narrow(0, 3, 1).fill_(std::nan(""));
  Program::load(path).save(broken, {{"down_weight", weight}}, "{}");
  CHECK(load_code(broken, "down_weight") == ExitCode::file);
}

TEST_CASE("program: a tied weight is one weight with two sites") {
  ScriptModels models;
  const Program program = Program::load(models.with_forward("tied", R"(
    def forward(self, input_ids):
        return torch.linear(torch.tanh(torch.embedding(self.w, input_ids)), self.w)
  )"));
  REQUIRE(program.sites().size() == 2);
  for (const Site& site : program.sites()) {
    CHECK(site.tied);
    CHECK_FALSE(site.own_slot);
  }
  CHECK(program.sites()[1].path == "lm_head");
}
