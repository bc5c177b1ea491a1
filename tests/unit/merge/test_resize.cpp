#include <ATen/ATen.h>

#include "base/json.h"
#include "lora/kernels/low_rank.h"
#include "lora/merge/resize.h"
#include "merge/module_update.h"
#include "support/catch.h"
#include "support/errors.h"
#include "support/sample_adapter.h"
#include "support/temporary_folder.h"

using namespace lora;
using namespace lora::test;

namespace {

struct Bench {
  explicit Bench(const std::vector<std::string>& targets = {"wte", "c_proj", "up", "down"},
                 MethodConfig method = {"lora", 6, 9, 0})
      : program(Program::load(every_kind_model(folder.path()))) {
    write_adapter_folder(
        adapter, pack_adapter(program, random_adapter(program, targets, {}, method), provenance_of(program)),
        "");
  }

  ResizeConfig config() const {
    ResizeConfig config;
    config.adapter = adapter.string();
    config.out = out.string();
    return config;
  }

  Json resized(ResizeConfig config) const {
    config.json = true;
    return Json::parse(output_of([&] { resize(config); }));
  }

  Json to_rank(std::int64_t rank) const {
    ResizeConfig asked = config();
    asked.rank = rank;
    return resized(asked);
  }

  std::vector<ModuleUpdate> before() const { return module_updates(read_adapter_folder(adapter)); }
  std::vector<ModuleUpdate> after() const { return module_updates(read_adapter_folder(out)); }

  TemporaryFolder folder;
  Program program;
  std::filesystem::path adapter = folder / "adapter", out = folder / "resized";
};

at::Tensor delta(const ModuleUpdate& update) {
  return at::mm(update.B.to(at::kDouble), update.A.to(at::kDouble)) * update.scale();
}

double length(const at::Tensor& tensor) { return tensor.norm().item<double>(); }

}  // namespace

TEST_CASE(
    "resize: each product is the best of the new rank, the scale stays, and the printed error is the true "
    "one") {
  const Bench bench;
  const Json report = bench.to_rank(2);
  const auto before = bench.before(), after = bench.after();
  REQUIRE(after.size() == 4);
  double lost = 0, all = 0;
  for (std::size_t i = 0; i < after.size(); ++i) {
    const at::Tensor exact = delta(before[i]);
    const double error = length(exact - delta(after[i])),
                 best = length(exact - full_svd(exact).first(2).product());
    CHECK(after[i].config.rank == 2);
    CHECK(after[i].scale() == Catch::Detail::Approx(before[i].scale()));
    CHECK(error == Catch::Detail::Approx(best).epsilon(1e-6));
    CHECK(report["modules"][i]["relative_error"].get<double>() ==
          Catch::Detail::Approx(best / length(exact)).epsilon(1e-6));
    lost += best * best;
    all += length(exact) * length(exact);
  }
  CHECK(report["relative_error"].get<double>() == Catch::Detail::Approx(std::sqrt(lost / all)).epsilon(1e-6));
}

TEST_CASE("resize: B and A share the singular values evenly") {
  const Bench bench;
  bench.to_rank(3);
  for (const ModuleUpdate& update : bench.after()) {
    const at::Tensor gram_b = at::mm(update.B.t(), update.B), gram_a = at::mm(update.A, update.A.t());
    CHECK(at::allclose(gram_a, gram_b, 1e-4, 1e-5));
    CHECK(at::allclose(gram_a, gram_a.diag().diag(), 1e-4, 1e-5));
  }
}

TEST_CASE("resize: a larger rank pads with zeros and keeps every bit") {
  const Bench bench;
  const Json report = bench.to_rank(11);
  const auto before = bench.before(), after = bench.after();
  for (std::size_t i = 0; i < after.size(); ++i) {
    CHECK(at::equal(after[i].A.narrow(0, 0, 6), before[i].A));
    CHECK(at::equal(after[i].B.narrow(1, 0, 6), before[i].B));
    CHECK(after[i].A.narrow(0, 6, 5).count_nonzero().item<int>() == 0);
    CHECK(after[i].B.narrow(1, 6, 5).count_nonzero().item<int>() == 0);
  }
  CHECK(report["relative_error"] == 0.0);
}

TEST_CASE("resize: by error or energy every module has the smallest rank that suffices") {
  for (const bool by_energy : {false, true}) {
    const Bench bench;
    ResizeConfig config = bench.config();
    const double error = 0.4;
    if (by_energy)
      config.energy = 1 - error * error;
    else
      config.error = error;
    bench.resized(config);
    const auto before = bench.before(), after = bench.after();
    for (std::size_t i = 0; i < after.size(); ++i) {
      const at::Tensor exact = delta(before[i]);
      const std::int64_t rank = after[i].config.rank;
      CHECK(length(exact - delta(after[i])) <= error * length(exact) * (1 + 1e-6));
      if (rank > 1) CHECK(length(exact - full_svd(exact).first(rank - 1).product()) > error * length(exact));
    }
  }
}

TEST_CASE("resize: slices of a fused projection keep their parts, each of the new rank") {
  const Bench bench({"c_attn:query", "c_attn:value"});
  bench.to_rank(2);
  const Adapter adapter = fit_adapter(read_adapter_folder(bench.out), bench.program);
  REQUIRE(adapter.targets.size() == 2);
  for (const AdaptedTarget& target : adapter.targets) {
    CHECK(target.target.slice != nullptr);
    CHECK(target.config.rank == 2);
  }
}

TEST_CASE("resize: rsLoRA keeps its rule and its scale") {
  MethodConfig method{"lora", 4, 8, 0};
  method.rank_stabilised = true;
  const Bench bench({"up"}, method);
  bench.to_rank(16);
  const MethodConfig config = bench.after().front().config;
  CHECK(config.rank_stabilised);
  CHECK(config.alpha == Catch::Detail::Approx(16));
}

TEST_CASE("resize: exactly one measure, an output of its own, and no replacement without asking") {
  const Bench bench;
  ResizeConfig config = bench.config();
  const auto refused = [&](std::initializer_list<std::string> parts) {
    require_error([&] { bench.resized(config); }, ExitCode::usage, parts);
  };
  refused({"exactly one of --rank, --error and --energy"});
  config.rank = 2;
  config.error = 0.1;
  refused({"exactly one of"});
  config.error.reset();
  config.out = config.adapter + "/../adapter";
  refused({"is an input"});
  config.out = bench.program.path().string();
  refused({"is a file"});
  config.out = bench.out.string();
  bench.resized(config);
  refused({"holds an adapter"});
  config.overwrite = true;
  bench.resized(config);
}
