#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include "lora/adapter/adapter_set.h"
#include "support/catch.h"
#include "support/errors.h"
#include "support/every_kind_model.h"
#include "support/temporary_folder.h"

using namespace lora;
using namespace lora::test;

namespace {

Adapter filled(const Program& program, const std::vector<std::string>& targets, std::int64_t rank,
               double alpha, const std::vector<std::string>& saved = {}) {
  MethodConfig config;
  config.rank = rank;
  config.alpha = alpha;
  Adapter adapter =
      create_adapter(program, resolve_targets(program.sites(), {targets, {}, ""}), config, saved, 1);
  for (auto& [name, tensor] : adapter.tensors()) tensor->copy_(at::randn(tensor->sizes()) * 0.3);
  return adapter;
}

struct Bench {
  explicit Bench(Head head = Head::own)
      : program(Program::load(every_kind_model(folder.path(), head))), set(program) {
    at::manual_seed(4);
    set.add("attention", filled(program, {"c_attn:query", "c_attn:value"}, 2, 5));
    set.add("everything", filled(program, {"wte", "c_attn", "c_proj", "up", "down"}, 3, 2));
    set.add("mlp", filled(program, {"up"}, 4, 9));
  }

  at::Tensor logits(const Executable& executable, const at::Tensor& rows) const {
    const at::NoGradGuard no_grad;
    return executable.logits({rows, at::ones_like(rows), {}});
  }

  TemporaryFolder folder;
  Program program;
  AdapterSet set;
  at::Tensor ids = at::arange(1, 31, at::kLong).reshape({6, 5}).remainder(20);
};

double relative(const at::Tensor& a, const at::Tensor& b) {
  return ((a - b).abs().max() / b.abs().max()).item<double>();
}

}  // namespace

TEST_CASE("adapter set: every row of a mixed batch equals its adapter run alone") {
  Bench bench;
  const Executable mixed = bench.program.executable(bench.set.hooks());
  const bool training = false;
  for (const std::vector<std::string>& rows :
       {std::vector<std::string>{"mlp", "", "everything", "attention", "mlp", "everything"},
        {"attention", "attention", "attention", "", "", ""},
        {"mlp", "mlp", "mlp", "mlp", "mlp", "mlp"}}) {
    bench.set.use_rows(rows);
    const at::Tensor all = bench.logits(mixed, bench.ids);
    for (std::int64_t row = 0; row < 6; ++row) {
      const std::string& name = rows[static_cast<std::size_t>(row)];
      INFO(row << " " << name);
      const Adapter none;
      const Adapter& adapter = name.empty() ? none : bench.set.adapter(name);
      const Executable alone = bench.program.executable(make_hooks(adapter, training));
      CHECK(relative(all[row], bench.logits(alone, bench.ids.narrow(0, row, 1))[0]) < 1e-5);
    }
  }
}

TEST_CASE(
    "adapter set: using one adapter for all equals its own hooks, and the base comes back bit for bit") {
  Bench bench;
  const Executable model = bench.program.executable(bench.set.hooks());
  const bool training = false;
  const at::Tensor base = bench.logits(bench.program.executable(), bench.ids);
  for (const std::string& name : bench.set.names()) {
    bench.set.use(name);
    const Executable own = bench.program.executable(make_hooks(bench.set.adapter(name), training));
    CHECK(relative(bench.logits(model, bench.ids), bench.logits(own, bench.ids)) < 1e-6);
  }
  bench.set.use("");
  CHECK(at::equal(bench.logits(model, bench.ids), base));
}

TEST_CASE("adapter set: switching leaves every weight of the base where it is") {
  Bench bench(Head::classifier);
  bench.set.add("head", filled(bench.program, {"up"}, 2, 4, {"classifier"}));
  std::map<std::string, at::Tensor> before;
  for (const Weight& weight : bench.program.weights()) before[weight.path] = weight.value;
  for (const char* name : {"mlp", "head", "everything", "", "head"}) bench.set.use(name);
  CHECK(bench.program.weight("classifier.weight")
            .value.is_same(bench.set.adapter("head").saved_weights.at("classifier.weight")));
  bench.set.use_rows({"mlp", "attention"});
  for (const auto& [path, value] : before) CHECK(bench.program.weight(path).value.is_same(value));
}

TEST_CASE("adapter set: names that are unknown or taken, and whole weights in a mixed batch, are refused") {
  Bench bench(Head::classifier);
  require_error([&] { bench.set.use("attentoin"); }, ExitCode::usage, {"attentoin"});
  require_error([&] { bench.set.add("mlp", {}); }, ExitCode::usage, {"is taken"});
  bench.set.add("head", filled(bench.program, {"up"}, 2, 4, {"classifier"}));
  require_error([&] { bench.set.use_rows({"mlp", "head"}); }, ExitCode::mismatch, {"head"});
}

TEST_CASE(
    "adapter set: rows with DoRA, trained token rows and starts off the base equal their adapters alone, "
    "too") {
  Bench bench;
  MethodConfig dora;
  dora.method = "dora";
  dora.rank = 2;
  dora.init = "pissa";
  Adapter magnitudes = create_adapter(
      bench.program, resolve_targets(bench.program.sites(), {{"up", "c_proj"}, {}, ""}), dora, {}, 3);
  for (auto& [name, tensor] : magnitudes.tensors()) tensor->add_(at::randn(tensor->sizes()) * 0.2);
  Adapter tokens;
  add_token_rows(bench.program, tokens, "", {3, 5, 7});
  for (auto& [name, tensor] : tokens.tensors()) tensor->add_(at::randn(tensor->sizes()));
  bench.set.add("dora", std::move(magnitudes));
  bench.set.add("tokens", std::move(tokens));
  const Executable mixed = bench.program.executable(bench.set.hooks());
  const std::vector<std::string> rows{"dora", "tokens", "", "mlp", "tokens", "dora"};
  bench.set.use_rows(rows);
  const at::Tensor all = bench.logits(mixed, bench.ids);
  const at::Tensor base = bench.logits(bench.program.executable(), bench.ids);
  const bool training = false;
  for (std::int64_t row = 0; row < 6; ++row) {
    const std::string& name = rows[static_cast<std::size_t>(row)];
    INFO(row << " " << name);
    const Adapter none;
    const Adapter& adapter = name.empty() ? none : bench.set.adapter(name);
    const Executable alone = bench.program.executable(make_hooks(adapter, training));
    CHECK(relative(all[row], bench.logits(alone, bench.ids.narrow(0, row, 1))[0]) < 1e-5);
    if (name == "dora" || row == 1) CHECK(relative(all[row], base[row]) > 1e-3);
  }
}
