#include <ATen/ATen.h>

#include "base/json.h"
#include "lora/kernels/low_rank.h"
#include "lora/merge/combine.h"
#include "merge/module_update.h"
#include "support/catch.h"
#include "support/errors.h"
#include "support/sample_adapter.h"
#include "support/temporary_folder.h"

using namespace lora;
using namespace lora::test;

namespace {

using Deltas = std::map<std::string, at::Tensor>;

Deltas deltas_of(const std::filesystem::path& folder) {
  Deltas deltas;
  for (const ModuleUpdate& update : module_updates(read_adapter_folder(folder)))
    deltas[update.module] = at::mm(update.B.to(at::kDouble), update.A.to(at::kDouble)) * update.scale();
  return deltas;
}

double length(const at::Tensor& tensor) { return tensor.norm().item<double>(); }

class Bench {
 public:
  explicit Bench(Head head = Head::own) : program(Program::load(every_kind_model(folder.path(), head))) {}

  /// An adapter named `name` with random tensors.
  void make(const std::string& name, const std::vector<std::string>& targets, MethodConfig method,
            const std::vector<std::string>& saved = {}, std::uint64_t seed = 3) {
    Adapter adapter = random_adapter(program, targets, saved, method);
    at::manual_seed(seed);
    for (auto& [path, tensor] : adapter.tensors()) tensor->add_(at::randn(tensor->sizes()) * 0.2);
    write_adapter_folder(folder / name, pack_adapter(program, adapter, provenance_of(program)), "");
  }

  CombineConfig config(const std::vector<std::string>& adapters) const {
    CombineConfig config;
    for (const std::string& adapter : adapters) config.adapters.push_back((folder / adapter).string());
    config.out = out.string();
    return config;
  }

  Json combined(CombineConfig config) const {
    config.json = true;
    config.overwrite = true;
    return Json::parse(output_of([&] { combine(config); }));
  }

  void require_refused(CombineConfig config, ExitCode code, std::initializer_list<std::string> parts) const {
    config.overwrite = true;
    require_error([&] { output_of([&] { combine(config); }); }, code, parts);
  }

  Deltas deltas(const std::string& name) const { return deltas_of(folder / name); }

  TemporaryFolder folder;
  Program program;
  std::filesystem::path out = folder / "combined";
};

/// Two adapters of different ranks, alphas and rules of scale, with modules of their own and shared ones.
struct TwoAdapters : Bench {
  TwoAdapters() {
    make("a", {"wte", "c_attn", "up"}, {"lora", 2, 4, 0}, {}, 3);
    MethodConfig stabilised{"lora", 3, 5, 0};
    stabilised.rank_stabilised = true;
    make("b", {"up", "down", "c_attn"}, stabilised, {}, 4);
  }

  Deltas sum(double a, double b) const {
    Deltas sum = deltas("a");
    for (auto& [module, delta] : sum) delta = delta * a;
    for (const auto& [module, delta] : deltas("b")) {
      const auto found = sum.find(module);
      sum[module] = found == sum.end() ? delta * b : found->second + delta * b;
    }
    return sum;
  }
};

void require_near(const Deltas& found, const Deltas& expected, double tolerance) {
  REQUIRE(found.size() == expected.size());
  for (const auto& [module, delta] : expected) {
    INFO(module);
    CHECK(length(found.at(module) - delta) <= tolerance * length(delta));
  }
}

}  // namespace

TEST_CASE("combine: the sum is that of the true updates, whatever their ranks, alphas and rules of scale") {
  const TwoAdapters bench;
  const Json report = bench.combined(bench.config({"a", "b:-0.7"}));
  CHECK(report["exact"] == true);
  CHECK(report["folded"] == 2);  // b's factors beside a's; modules of one adapter keep their bits
  require_near(bench.deltas("combined"), bench.sum(1, -0.7), 1e-7);
  const Adapter adapter = fit_adapter(read_adapter_folder(bench.out), bench.program);
  CHECK(adapter.targets.size() == 4);
}

TEST_CASE("combine: an average divides by the sum of all weights, also where an adapter does nothing") {
  const TwoAdapters bench;
  CombineConfig config = bench.config({"a:1", "b:3"});
  config.method = "average";
  bench.combined(config);
  require_near(bench.deltas("combined"), bench.sum(0.25, 0.75), 1e-7);
}

TEST_CASE("combine: factors of one scale keep every bit, and a negation only changes signs") {
  Bench bench;
  bench.make("a", {"up"}, {"lora", 2, 4, 0}, {}, 3);
  bench.make("b", {"up"}, {"lora", 3, 6, 0}, {}, 4);
  const Json report = bench.combined(bench.config({"a", "b:-0.5"}));
  CHECK(report["folded"] == 0);
  const ModuleUpdate a = module_updates(read_adapter_folder(bench.folder / "a")).front();
  const ModuleUpdate b = module_updates(read_adapter_folder(bench.folder / "b")).front();
  const ModuleUpdate both = module_updates(read_adapter_folder(bench.out)).front();
  CHECK(at::equal(both.A, at::cat({a.A, b.A}, 0)));
  CHECK(at::equal(both.B, at::cat({a.B, b.B * -0.5}, 1)));
  CHECK(both.scale() == 2);
}

TEST_CASE("combine: an adapter and its negation give nothing") {
  const TwoAdapters bench;
  bench.combined(bench.config({"a", "a:-1"}));
  for (const auto& [module, delta] : bench.deltas("combined")) CHECK(length(delta) < 1e-12);
}

TEST_CASE("combine: slices of fused projections stay slices") {
  Bench bench;
  bench.make("a", {"c_attn:query", "c_attn:value"}, {"lora", 2, 4, 0}, {}, 3);
  bench.make("b", {"c_attn:query"}, {"lora", 3, 4, 0}, {}, 4);
  for (const bool truncated : {false, true}) {
    CombineConfig config = bench.config({"a", "b"});
    if (truncated) config.rank = 4;
    bench.combined(config);
    const Adapter adapter = fit_adapter(read_adapter_folder(bench.out), bench.program);
    REQUIRE(adapter.targets.size() == 2);
    CHECK(adapter.targets[0].target.name() == "attn.c_attn:query");
    CHECK(adapter.targets[0].config.rank == (truncated ? 4 : 5));
    CHECK(adapter.targets[1].config.rank == 2);
    const at::Tensor sum = bench.deltas("a").at("attn.c_attn") + bench.deltas("b").at("attn.c_attn");
    require_near(bench.deltas("combined"), {{"attn.c_attn", sum}}, truncated ? 0.5 : 1e-7);
  }
}

TEST_CASE("combine: with a rank the result is the best of that rank, and its error is printed") {
  const TwoAdapters bench;
  CombineConfig config = bench.config({"a", "b:2"});
  config.rank = 2;
  const Json report = bench.combined(config);
  const Deltas exact = bench.sum(1, 2), found = bench.deltas("combined");
  for (const Json& module : report["modules"]) {
    const std::string name = module["module"];
    const at::Tensor& delta = exact.at(name);
    const double best = length(delta - full_svd(delta).first(2).product());
    CHECK(length(delta - found.at(name)) == Catch::Detail::Approx(best).epsilon(1e-5).margin(1e-5));
    CHECK(module["relative_error"].get<double>() * length(delta) ==
          Catch::Detail::Approx(best).epsilon(1e-5).margin(1e-6));
  }
  CHECK(report["relative_error"].get<double>() > 0.01);
}

TEST_CASE("combine: dense methods approximate with the largest rank, and say how well") {
  const TwoAdapters bench;
  for (const char* method : {"ties", "dare_linear", "dare_ties", "magnitude_prune"}) {
    CombineConfig config = bench.config({"a", "b"});
    config.method = method;
    const Json report = bench.combined(config);
    CHECK(report["exact"] == false);
    CHECK(report["modules"][0]["rank"] == 3);
    CHECK(report["relative_error"].get<double>() > 0.01);
    config.rank = 16;  // all of every module
    CHECK(bench.combined(config)["relative_error"].get<double>() < 1e-5);
  }
}

TEST_CASE("combine: facts and card name the sources with hashes and weights") {
  const TwoAdapters bench;
  bench.combined(bench.config({"a", "b:-0.7"}));
  const AdapterFolder folder = read_adapter_folder(bench.out);
  const Json sources = Json::parse(folder.provenance.facts.at("sources"));
  REQUIRE(sources.size() == 2);
  CHECK(sources[1]["sha256"] == read_adapter_folder(bench.folder / "b").sha256);
  CHECK(sources[1]["weight"] == -0.7);
  CHECK(folder.provenance.base_fingerprint == bench.program.fingerprint());
  CHECK(file_text(bench.out / "README.md").find("-0.7 x ") != std::string::npos);
}

TEST_CASE("combine: adapters that do not belong together are refused with every mismatch") {
  const TwoAdapters bench;
  const auto resave = [&](const std::string& from, const std::string& name, auto change) {
    AdapterFolder folder = read_adapter_folder(bench.folder / from);
    change(folder);
    write_adapter_folder(bench.folder / name, folder, "");
  };
  resave("a", "other", [](AdapterFolder& folder) {
    folder.provenance.base_fingerprint = "feed";
    folder.config.task_type = "SEQ_CLS";
    at::Tensor& A = folder.tensors.at("base_model.model.mlp.up.lora_A.weight");
    A = at::ones({2, 5});
  });
  bench.require_refused(bench.config({"a", "other"}), ExitCode::mismatch,
                        {"3 mismatches", "base: ", "feed", "SEQ_CLS", "mlp.up", "5 inputs"});
  resave("a", "broken", [](AdapterFolder& folder) {
    folder.tensors.at("base_model.model.mlp.up.lora_A.weight")[0][0] = std::nan("");
  });
  bench.require_refused(bench.config({"a", "broken"}), ExitCode::file, {"NaN", "mlp.up"});
}

TEST_CASE("combine: whole weights are taken from one holder, averaged or added to the base by choice") {
  Bench bench(Head::classifier);
  bench.make("a", {"up"}, {"lora", 2, 4, 0}, {"classifier"}, 3);
  bench.make("b", {"up"}, {"lora", 2, 4, 0}, {"classifier"}, 4);
  bench.make("c", {"up"}, {"lora", 2, 4, 0}, {}, 5);
  const std::string key = "base_model.model.classifier.weight";
  const auto whole = [&](const std::filesystem::path& folder) {
    return read_adapter_folder(folder).tensors.at(key);
  };
  bench.combined(bench.config({"a", "c:0.3"}));
  CHECK(at::equal(whole(bench.out), whole(bench.folder / "a")));
  bench.require_refused(bench.config({"a:0.5", "c"}), ExitCode::mismatch, {"classifier.weight", "(0.5)"});
  CombineConfig config = bench.config({"a", "b:3"});
  bench.require_refused(config, ExitCode::mismatch, {"2 weights are held whole", "classifier.bias"});
  config.whole = "average";
  bench.combined(config);
  const at::Tensor a = whole(bench.folder / "a"), b = whole(bench.folder / "b");
  CHECK(at::allclose(whole(bench.out), a * 0.25 + b * 0.75, 1e-6, 1e-7));
  config.whole = "difference";
  bench.require_refused(config, ExitCode::usage, {"needs the base model"});
  config.model = bench.program.path().string();
  bench.combined(config);
  const at::Tensor base = bench.program.weight("classifier.weight").value;
  CHECK(at::allclose(whole(bench.out), a + (b - base) * 3, 1e-5, 1e-6));
  const Adapter fitted = fit_adapter(read_adapter_folder(bench.out), bench.program);
  CHECK(fitted.saved_weights.size() == 2);
}

TEST_CASE("combine: DoRA goes in by what it does to the base's weight, and needs the base for it") {
  Bench bench;
  bench.make("d", {"up", "c_attn:query"}, {"dora", 2, 4, 0});
  CombineConfig config = bench.config({"d"});
  bench.require_refused(config, ExitCode::mismatch, {"DoRA: their update depends on the base's weights"});
  config.model = bench.program.path().string();
  config.rank = 16;
  bench.combined(config);
  const Deltas deltas = deltas_of(bench.out);
  const auto merged =
      merged_weights(bench.program, fit_adapter(read_adapter_folder(bench.folder / "d"), bench.program));
  REQUIRE(deltas.size() == 2);
  const at::Tensor up = merged.at("mlp.up.weight") - bench.program.weight("mlp.up.weight").value;
  const at::Tensor attn = merged.at("attn.c_attn.weight") - bench.program.weight("attn.c_attn.weight").value;
  // Rank 16 is full: float32 rounding is all that is lost.
  CHECK(length(deltas.at("mlp.up") - up) < 1e-5 * length(up));
  CHECK(length(deltas.at("attn.c_attn") - attn.t()) < 1e-5 * length(attn));
}

TEST_CASE(
    "combine: biases are kept beside their modules; other choices of biases and token rows are refused") {
  Bench bench;
  const auto make = [&](const std::string& name, const std::string& bias, bool tokens) {
    Adapter adapter = random_adapter(bench.program, {"up"});
    add_biases(bench.program, adapter, bias);
    if (tokens) add_token_rows(bench.program, adapter, "", {3});
    for (auto& [path, tensor] : adapter.tensors()) tensor->add_(0.1);
    write_adapter_folder(bench.folder / name,
                         pack_adapter(bench.program, adapter, provenance_of(bench.program)), "");
    return adapter;
  };
  const Adapter a = make("a", "lora_only", false);
  make("b", "none", false);
  make("c", "lora_only", true);
  bench.combined(bench.config({"a"}));
  const Adapter read = fit_adapter(read_adapter_folder(bench.out), bench.program);
  CHECK(at::equal(read.saved_weights.at("mlp.up.bias"), a.saved_weights.at("mlp.up.bias")));
  bench.require_refused(bench.config({"a", "b"}), ExitCode::mismatch, {"bias: lora_only in", "none in"});
  bench.require_refused(bench.config({"c"}), ExitCode::mismatch, {"token rows", "wte"});
}

TEST_CASE("combine: a module that one adapts and another holds whole is a mismatch") {
  Bench bench(Head::classifier);
  bench.make("a", {"classifier"}, {"lora", 2, 4, 0});
  bench.make("b", {"up"}, {"lora", 2, 4, 0}, {"classifier"});
  bench.require_refused(bench.config({"a", "b"}), ExitCode::mismatch, {"classifier.weight: held whole by"});
}

TEST_CASE("combine: bad lists, outputs and bases are refused before anything is written") {
  const TwoAdapters bench;
  bench.require_refused(bench.config({"a:x"}), ExitCode::usage, {"DIR:WEIGHT"});
  bench.require_refused(bench.config({}), ExitCode::usage, {"--adapters"});
  CombineConfig config = bench.config({"a", "b"});
  config.out = (bench.folder / "b").string();
  bench.require_refused(config, ExitCode::usage, {"is an input"});
  config = bench.config({"a:1", "b:-1"});
  config.method = "average";
  bench.require_refused(config, ExitCode::usage, {"sum to zero"});
  config = bench.config({"a", "b"});
  config.model = every_kind_model(bench.folder.path(), Head::own, at::kFloat, 2).string();
  bench.require_refused(config, ExitCode::mismatch, {"does not fit base"});
  CHECK_FALSE(std::filesystem::exists(bench.out / "adapter_config.json"));
}
