#include <ATen/ATen.h>

#include <limits>

#include "adapter/merge.h"
#include "support/catch.h"
#include "support/errors.h"
#include "support/every_kind_model.h"
#include "support/temporary_folder.h"

using namespace lora;
using namespace lora::test;

namespace {

Adapter filled(const Program& program, const std::vector<std::string>& patterns, double value,
               const std::vector<std::string>& saved = {}) {
  Adapter adapter = create_adapter(program, resolve_targets(program.sites(), {patterns, {}, ""}),
                                   {"lora", 2, 4, 0}, saved, 1);
  for (AdaptedTarget& adapted : adapter.targets) {
    for (auto& [leaf, tensor] : adapted.tensors) tensor.fill_(value);
  }
  return adapter;
}

}  // namespace

TEST_CASE("merge: a head that shares its attribute with the embedding is refused, never silently changed") {
  const TemporaryFolder folder;
  const Program program = Program::load(every_kind_model(folder.path(), Head::shared));
  require_error([&] { merged_weights(program, filled(program, {"lm_head"}, 0.1)); }, ExitCode::mismatch,
                {"\"lm_head\"", "wte.weight", "would change too"});
  require_error([&] { merged_weights(program, filled(program, {"wte"}, 0.1)); }, ExitCode::mismatch,
                {"\"wte\""});
}

TEST_CASE("merge: a tied head with an attribute of its own is untied") {
  const TemporaryFolder folder;
  const Program program = Program::load(every_kind_model(folder.path(), Head::aliased));
  const auto weights = merged_weights(program, filled(program, {"lm_head"}, 0.1));
  REQUIRE(weights.size() == 1);
  const auto out = folder / "untied.pt";
  program.save(out, weights, "{}");
  const Program merged = Program::load(out);
  CHECK(at::equal(merged.weight("wte.weight").value, program.weight("wte.weight").value));
  CHECK(at::allclose(merged.weight("lm_head.weight").value,
                     program.weight("lm_head.weight").value + 2 * 2 * 0.01));
  CHECK(merged.weights().size() == program.weights().size() + 1);
}

TEST_CASE("merge: tensors with NaN or Inf are a file error that names them") {
  const TemporaryFolder folder;
  const Program program = Program::load(every_kind_model(folder.path()));
  Adapter adapter = filled(program, {"up"}, 0.1);
  adapter.targets[0].tensors.at("lora_B.weight")[3][1] = std::numeric_limits<float>::infinity();
  require_error([&] { merged_weights(program, adapter); }, ExitCode::file,
                {"mlp.up.lora_B.weight", "NaN or Inf"});
}

TEST_CASE("merge: what would change nothing is a mismatch") {
  const TemporaryFolder folder;
  const Program program = Program::load(every_kind_model(folder.path()));
  require_error([&] { merged_weights(program, filled(program, {"up"}, 0)); }, ExitCode::mismatch,
                {"would change nothing", "1 weights"});
  const Program coarse = Program::load(every_kind_model(folder.path(), Head::own, at::kBFloat16));
  require_error([&] { merged_weights(coarse, filled(coarse, {"up"}, 1e-7)); }, ExitCode::mismatch,
                {"would change nothing"});
}

TEST_CASE("merge: changed saved weights alone are a merge") {
  const TemporaryFolder folder;
  const Program program = Program::load(every_kind_model(folder.path(), Head::classifier));
  Adapter adapter = filled(program, {"up"}, 0, {"classifier"});
  require_error([&] { merged_weights(program, adapter); }, ExitCode::mismatch, {"would change nothing"});
  adapter.saved_weights.at("classifier.bias").add_(1);
  CHECK(at::equal(merged_weights(program, adapter).at("classifier.bias"),
                  program.weight("classifier.bias").value + 1));
}

TEST_CASE("merge: an overflow of float16 is a mismatch that names the weight") {
  const TemporaryFolder folder;
  const Program program = Program::load(every_kind_model(folder.path(), Head::own, at::kHalf));
  require_error([&] { merged_weights(program, filled(program, {"up"}, 200)); }, ExitCode::mismatch,
                {"mlp.up.weight", "overflows"});
}

TEST_CASE("merge: reports the largest change, and what rounding swallowed") {
  const TemporaryFolder folder;
  const Program program = Program::load(every_kind_model(folder.path(), Head::own, at::kBFloat16));
  Adapter adapter = filled(program, {"up"}, 0.01);
  const auto merged = merge_targets(program, {{&adapter}});
  REQUIRE(merged.size() == 1);
  const at::Tensor base = program.weight("mlp.up.weight").value,
                   change = (merged[0].update.value - base).to(at::kDouble);
  // Every update is 2 * 2 * 1e-4; a weight keeps its value where its spacing 2^-8 |w| exceeds twice that.
  const at::Tensor update = at::full_like(change, 4e-4);
  const double kept = (change == 0).sum().item<double>() / static_cast<double>(change.numel());
  CHECK(kept > 0.2);
  CHECK(merged[0].update.swallowed_share() == Catch::Detail::Approx(kept));
  CHECK(merged[0].update.largest_change == Catch::Detail::Approx(change.abs().max().item<double>()));
  CHECK(merged[0].update.norm_lost() ==
        Catch::Detail::Approx((update - change).norm().item<double>() / update.norm().item<double>())
            .epsilon(1e-4));
  const Program exact = Program::load(every_kind_model(folder.path()));
  const Adapter visible = filled(exact, {"up"}, 0.01);
  CHECK(merge_targets(exact, {{&visible}})[0].update.swallowed_share() == 0);
}
