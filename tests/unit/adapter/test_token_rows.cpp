#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include "lora/adapter/adapter.h"
#include "support/catch.h"
#include "support/errors.h"
#include "support/every_kind_model.h"
#include "support/sample_adapter.h"
#include "support/temporary_folder.h"

using namespace lora;
using namespace lora::test;

namespace {

constexpr bool kEvaluation = false;

struct Bench {
  explicit Bench(Head head = Head::own) : program(Program::load(every_kind_model(folder.path(), head))) {}

  /// Rows 3 and 10, which the inputs contain, and 39, with other values than the base's.
  Adapter trained() const {
    Adapter adapter;
    add_token_rows(program, adapter, "", {39, 3, 10});
    adapter.token_rows.front().values.add_(0.5);
    return adapter;
  }

  at::Tensor logits(const Adapter& adapter) const {
    const at::NoGradGuard no_grad;
    return program.executable(make_hooks(adapter, kEvaluation)).logits(every_kind_inputs());
  }

  TemporaryFolder folder;
  Program program;
};

}  // namespace

TEST_CASE("token rows: they are the base's at the start, and only they are held") {
  const Bench bench;
  Adapter adapter;
  add_token_rows(bench.program, adapter, "", {7, 3});
  const TokenRows& rows = adapter.token_rows.front();
  CHECK(rows.module == "wte");
  CHECK(rows.ids == std::vector<std::int64_t>{3, 7});
  CHECK(at::equal(rows.values, bench.program.weight("wte.weight").value.index_select(0, at::tensor({3, 7}))));
  CHECK(adapter.parameter_count() == 2 * 16);
  CHECK(at::equal(bench.logits(adapter), bench.logits({})));
}

TEST_CASE("token rows: the model computes what it computes with the rows in its weight, tied or not") {
  for (const Head head : {Head::own, Head::shared, Head::aliased}) {
    Bench bench(head);
    const Adapter adapter = bench.trained();
    CHECK(adapter.token_rows.front().sites.size() == (head == Head::own ? 1 : 2));
    const at::Tensor live = bench.logits(adapter);
    CHECK_FALSE(at::allclose(live, bench.logits({}), 1e-3, 1e-3));
    const auto merged = merged_weights(bench.program, adapter);
    CHECK(merged.size() == (head == Head::aliased ? 2 : 1));
    for (const auto& [path, value] : merged) {
      CHECK(at::equal(value.index_select(0, at::tensor({3, 10, 39})), adapter.token_rows.front().values));
      bench.program.set_weight(path, value);
    }
    // float32: products of other shapes sum in another order.
    CHECK(at::allclose(bench.logits({}), live, 1e-4, 1e-5));
  }
}

TEST_CASE("token rows: a merged file stores a tied weight once") {
  const Bench bench(Head::aliased);
  const auto file = bench.folder / "merged.pt";
  bench.program.save(file, merged_weights(bench.program, bench.trained()), "{}");
  const Program merged = Program::load(file);
  CHECK(&merged.weight("wte.weight") == &merged.weight("lm_head.weight"));
}

TEST_CASE("token rows: only the rows of tokens that occur get gradients") {
  const Bench bench;
  Adapter adapter = bench.trained();
  adapter.token_rows.front().values.requires_grad_(true);
  bench.program.executable(make_hooks(adapter, kEvaluation))
      .logits(every_kind_inputs())
      .pow(2)
      .sum()
      .backward();
  const at::Tensor gradient = adapter.token_rows.front().values.grad().abs().sum(1);
  CHECK(gradient[0].item<float>() > 0);
  CHECK(gradient[1].item<float>() > 0);
  const bool occurs = (every_kind_inputs().input_ids == 39).any().item<bool>();
  CHECK((gradient[2].item<float>() > 0) == occurs);
}

TEST_CASE("token rows: ids outside the vocabulary, repeated ids and weights trained otherwise are refused") {
  const Bench bench(Head::aliased);
  const auto add = [&](Adapter adapter, const std::vector<std::int64_t>& ids) {
    return [&bench, adapter, ids]() mutable { add_token_rows(bench.program, adapter, "", ids); };
  };
  require_error(add({}, {3, 40, -1}), ExitCode::mismatch, {"-1, 40", "which has 40"});
  require_error(add({}, {3, 3}), ExitCode::usage, {"token 3 is given twice"});
  require_error(add(random_adapter(bench.program, {"wte"}), {3}), ExitCode::mismatch,
                {"wte", "a target of its own"});
  require_error(add(random_adapter(bench.program, {"lm_head"}), {3}), ExitCode::mismatch,
                {"a target of its own"});
  require_error(add(bench.trained(), {5}), ExitCode::mismatch, {"trained twice"});
}

TEST_CASE("token rows: an adapter folder keeps them; other orders of the ids are read") {
  const Bench bench;
  const Adapter adapter = bench.trained();
  AdapterFolder folder = pack_adapter(bench.program, adapter, provenance_of(bench.program));
  write_adapter_folder(bench.folder / "adapter", folder, "card");
  const Adapter read = fit_adapter(read_adapter_folder(bench.folder / "adapter"), bench.program);
  REQUIRE(read.token_rows.size() == 1);
  CHECK(read.token_rows.front().ids == std::vector<std::int64_t>{3, 10, 39});
  CHECK(at::equal(read.token_rows.front().values, adapter.token_rows.front().values));
  folder.config.token_indices.front().second = {39, 3, 10};
  at::Tensor& values = folder.tensors.begin()->second;
  values = values.index_select(0, at::tensor({2, 0, 1}));
  CHECK(at::equal(fit_adapter(folder, bench.program).token_rows.front().values,
                  adapter.token_rows.front().values));
}

TEST_CASE("token rows: alone they are a folder of PEFT's TRAINABLE_TOKENS, with a key for each tied module") {
  const Bench bench(Head::aliased);
  const Adapter adapter = bench.trained();
  const auto path = bench.folder / "adapter";
  write_adapter_folder(path, pack_adapter(bench.program, adapter, {}), "card");
  AdapterFolder folder = read_adapter_folder(path);
  CHECK(folder.config.tokens_alone);
  REQUIRE(folder.tensors.size() == 2);
  at::Tensor& tied = folder.tensors.at("base_model.model.lm_head.trainable_tokens_delta");
  CHECK(at::equal(tied, folder.tensors.at("base_model.model.wte.trainable_tokens_delta")));
  CHECK(fit_adapter(folder, bench.program).token_rows.size() == 1);
  tied = tied + 1;
  require_error([&] { fit_adapter(folder, bench.program); }, ExitCode::mismatch,
                {"differ from those it is tied to"});
}

TEST_CASE(
    "token rows: files whose indices and rows disagree are file errors, of another vocabulary mismatches") {
  const Bench bench;
  const AdapterFolder good = pack_adapter(bench.program, bench.trained(), {});
  const auto path = bench.folder / "adapter";
  const auto write = [&](const std::vector<std::int64_t>& ids, const at::Tensor& values) {
    AdapterFolder folder = good;
    folder.config.tokens_alone = false;
    folder.config.token_indices.clear();
    if (!ids.empty()) folder.config.token_indices.emplace_back("wte", ids);
    folder.tensors.clear();
    if (values.defined())
      folder.tensors["base_model.model.wte.token_adapter.trainable_tokens_delta"] = values;
    write_adapter_folder(path, folder, "card");
  };
  const auto read = [&] { read_adapter_folder(path); };
  const auto fit = [&] { fit_adapter(read_adapter_folder(path), bench.program); };
  write({1, 2}, at::zeros({3, 16}));
  require_error(read, ExitCode::file, {"wte has rows [3, 16]; trainable_token_indices names 2"});
  write({1, 1}, at::zeros({2, 16}));
  require_error(read, ExitCode::file, {"repeated numbers"});
  write({-1, 1}, at::zeros({2, 16}));
  require_error(read, ExitCode::file, {"negative"});
  write({}, at::zeros({2, 16}));
  require_error(read, ExitCode::file, {"does not name"});
  write({1, 2}, {});
  require_error(read, ExitCode::file, {"has no tensor"});
  write({1, 40}, at::zeros({2, 16}));
  require_error(fit, ExitCode::mismatch, {"tokens 40 are no rows"});
  write({1, 2}, at::zeros({2, 15}));
  require_error(fit, ExitCode::mismatch, {"adapter's token rows [2, 15], base [2, 16]"});
}

TEST_CASE("token rows: of a bfloat16 model they are float32, and the logits stay bfloat16") {
  TemporaryFolder folder;
  const Program program = Program::load(every_kind_model(folder.path(), Head::shared, at::kBFloat16));
  Adapter adapter;
  add_token_rows(program, adapter, "", {3, 10});
  CHECK(adapter.token_rows.front().values.scalar_type() == at::kFloat);
  const at::NoGradGuard no_grad;
  const at::Tensor live = program.executable(make_hooks(adapter, kEvaluation)).logits(every_kind_inputs());
  CHECK(live.scalar_type() == at::kBFloat16);
  // bfloat16 has 8 bits: the same product, summed in float32 and rounded.
  CHECK(at::allclose(live, program.executable().logits(every_kind_inputs()), 1e-2, 1e-2));
}
