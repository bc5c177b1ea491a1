#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include "lora/adapter/adapter.h"
#include "support/catch.h"
#include "support/errors.h"
#include "support/every_kind_model.h"
#include "support/temporary_folder.h"

using namespace lora;
using namespace lora::test;

namespace {

std::vector<Target> choose(const Program& program, const std::vector<std::string>& patterns) {
  return resolve_targets(program.sites(), {patterns, {}, ""});
}

Adapter create(const Program& program, const std::vector<std::string>& patterns,
               MethodConfig config = {"lora", 2, 4, 0}, const std::vector<std::string>& saved = {}) {
  return create_adapter(program, choose(program, patterns), config, saved, 1);
}

}  // namespace

TEST_CASE("adapter: tensors have stable names in the order of the targets") {
  const TemporaryFolder folder;
  const Program program = Program::load(every_kind_model(folder.path()));
  Adapter adapter = create(program, {"c_attn:value", "up"}, {"lora", 2, 4, 0}, {"lm_head"});
  std::vector<std::string> names;
  for (const auto& [name, tensor] : adapter.tensors()) names.push_back(name);
  CHECK(names == std::vector<std::string>{"attn.c_attn:value.lora_A.weight",
                                          "attn.c_attn:value.lora_B.weight", "mlp.up.lora_A.weight",
                                          "mlp.up.lora_B.weight", "lm_head.weight"});
  // A [2, 16] and B [16, 2] of the slice; A [2, 16] and B [24, 2] of up; the head [40, 16].
  CHECK(adapter.parameter_count() == 2 * 16 + 16 * 2 + 2 * 16 + 24 * 2 + 40 * 16);
}

TEST_CASE("adapter: saved modules start as copies of the base's weights") {
  const TemporaryFolder folder;
  const Program program = Program::load(every_kind_model(folder.path(), Head::classifier));
  const Adapter adapter = create(program, {"qv"}, {"lora", 2, 4, 0}, {"classifier"});
  REQUIRE(adapter.saved_weights.size() == 2);
  for (const char* path : {"classifier.weight", "classifier.bias"}) {
    CHECK(at::equal(adapter.saved_weights.at(path), program.weight(path).value));
    CHECK_FALSE(adapter.saved_weights.at(path).is_alias_of(program.weight(path).value));
  }
}

TEST_CASE("adapter: an unmatched saved module is a usage error with the nearest name") {
  const TemporaryFolder folder;
  const Program program = Program::load(every_kind_model(folder.path()));
  require_error(
      [&] {
        create(program, {"qv"}, {"lora", 2, 4, 0}, {"lm_haed", "mlp"});
      },
      ExitCode::usage, {"lm_haed", "nearest: lm_head"});
}

TEST_CASE("adapter: a rank beyond a target's size is a usage error that names the targets and the limit") {
  const TemporaryFolder folder;
  const Program program = Program::load(every_kind_model(folder.path()));
  const auto action = [&] { create(program, {"c_proj", "up"}, {"lora", 17, 4, 0}); };
  require_error(action, ExitCode::usage, {"rank 17", "attn.c_proj has 16 inputs", "mlp.up has 16 inputs"});
  CHECK(error_of(action).hint().find("--rank 16 or less, or leave them out: --exclude c_proj up") !=
        std::string::npos);
  require_error([&] { create(program, {"up"}, {"lora", 0, 4, 0}); }, ExitCode::usage, {"rank 0"});
}

TEST_CASE("adapter: one tied weight is never adapted twice") {
  const TemporaryFolder folder;
  for (const Head head : {Head::shared, Head::aliased}) {
    const Program program = Program::load(every_kind_model(folder.path(), head));
    require_error(
        [&] {
          create(program, {"wte", "lm_head"});
        },
        ExitCode::mismatch, {"\"wte\"", "\"lm_head\"", "one tied weight"});
    CHECK(create(program, {"lm_head"}).targets.size() == 1);
    require_error(
        [&] {
          create(program, {"qv"}, {"lora", 2, 4, 0}, {"wte"});
        },
        ExitCode::mismatch, {"wte.weight", "tied"});
  }
}

TEST_CASE("adapter: a target inside a saved module is refused") {
  const TemporaryFolder folder;
  const Program program = Program::load(every_kind_model(folder.path()));
  require_error(
      [&] {
        create(program, {"up"}, {"lora", 2, 4, 0}, {"mlp"});
      },
      ExitCode::mismatch, {"\"mlp.up\" is a target and inside modules_to_save"});
}

TEST_CASE("adapter: the seed decides every tensor, and nothing else does") {
  const TemporaryFolder folder;
  const Program program = Program::load(every_kind_model(folder.path()));
  at::manual_seed(1);
  Adapter first = create(program, {"all-linear"});
  at::manual_seed(2);
  Adapter second = create(program, {"all-linear"});
  const auto a = first.tensors(), b = second.tensors();
  for (std::size_t i = 0; i < a.size(); ++i) CHECK(at::equal(*a[i].second, *b[i].second));
  const Adapter other = create_adapter(program, choose(program, {"up"}), {"lora", 2, 4, 0}, {}, 2);
  const Adapter same_target = create(program, {"up"});
  CHECK_FALSE(at::equal(*other.tensors()[0].second, *same_target.tensors()[0].second));
}

TEST_CASE("adapter: hooks follow another adapter that is moved into place, and the training flag") {
  const TemporaryFolder folder;
  const Program program = Program::load(every_kind_model(folder.path()));
  const at::NoGradGuard no_grad;
  Adapter adapter = create(program, {"up"}, {"lora", 2, 4, 0.5});
  bool training = false;
  const Executable executable = program.executable(make_hooks(adapter, training));
  const at::Tensor base = executable.logits(every_kind_inputs());
  Adapter other = create(program, {"up"}, {"lora", 2, 4, 0.5});
  for (auto& [name, tensor] : other.tensors()) tensor->fill_(0.1);
  adapter = std::move(other);
  const at::Tensor adapted = executable.logits(every_kind_inputs());
  CHECK_FALSE(at::allclose(adapted, base));
  training = true;
  CHECK_FALSE(at::allclose(executable.logits(every_kind_inputs()), adapted));
  training = false;
  CHECK(at::equal(executable.logits(every_kind_inputs()), adapted));
}

TEST_CASE("adapter: hooks refuse an adapter of other targets") {
  const TemporaryFolder folder;
  const Program program = Program::load(every_kind_model(folder.path()));
  Adapter adapter = create(program, {"up"});
  const bool training = false;
  const Executable executable = program.executable(make_hooks(adapter, training));
  adapter = create(program, {"down"});
  REQUIRE_THROWS(executable.logits(every_kind_inputs()));
}

TEST_CASE("adapter: slices of one projection act together as the sum of their updates") {
  const TemporaryFolder folder;
  const Program program = Program::load(every_kind_model(folder.path()));
  const at::NoGradGuard no_grad;
  const bool training = false;
  Adapter adapter = create(program, {"c_attn:query", "c_attn:value"});
  for (auto& [name, tensor] : adapter.tensors()) tensor->fill_(0.1);
  const at::Tensor live = program.executable(make_hooks(adapter, training)).logits(every_kind_inputs());
  Program merged = Program::load(program.path());
  for (const auto& [path, value] : merged_weights(program, adapter)) merged.set_weight(path, value);
  CHECK(at::allclose(merged.executable().logits(every_kind_inputs()), live, 1e-4, 1e-5));
}
