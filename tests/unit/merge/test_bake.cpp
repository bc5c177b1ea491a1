#include <ATen/ATen.h>

#include "adapter/merge.h"
#include "base/json.h"
#include "lora/merge/bake.h"
#include "merge/site_update.h"
#include "support/catch.h"
#include "support/errors.h"
#include "support/file_size_limit.h"
#include "support/sample_adapter.h"
#include "support/script_models.h"
#include "support/temporary_folder.h"

using namespace lora;
using namespace lora::test;

namespace {

struct Bench {
  explicit Bench(Head head = Head::own, at::ScalarType type = at::kFloat,
                 const std::vector<std::string>& saved = {},
                 const std::vector<std::string>& targets = {"c_attn:query", "c_attn:value", "up", "down"})
      : model(every_kind_model(folder.path(), head, type)), program(Program::load(model)) {
    write_adapter_folder(
        adapter, pack_adapter(program, random_adapter(program, targets, saved), provenance_of(program)), "");
  }

  BakeConfig config() const {
    BakeConfig config;
    config.model.path = model.string();
    config.adapters = {adapter.string()};
    config.out = out.string();
    return config;
  }

  Json bake_json() const {
    BakeConfig asked = config();
    asked.json = true;
    return Json::parse(output_of([&] { bake(asked); }));
  }

  void require_refused(const BakeConfig& asked, ExitCode code,
                       std::initializer_list<std::string> parts) const {
    require_error([&] { output_of([&] { bake(asked); }); }, code, parts);
  }

  /// Files in the output's folder, to see that nothing is left behind.
  std::size_t files() const {
    const std::filesystem::directory_iterator all(folder.path());
    return static_cast<std::size_t>(std::distance(begin(all), end(all)));
  }

  TemporaryFolder folder;
  std::filesystem::path model, adapter = folder / "adapter", out = folder / "merged.pt";
  Program program;
};

}  // namespace

TEST_CASE("bake: the written model computes what the adapter computes, and says so") {
  const Bench bench(Head::classifier, at::kFloat, {"classifier"});
  const Json report = bench.bake_json();
  CHECK(report["verified"]["relative_difference"].get<double>() < 1e-5);
  CHECK(report["verified"]["rows"] == 3);
  CHECK(report["verified"]["tokens"] == 15);
  CHECK(report["modules"].size() == 3);
  CHECK(report["replaced"] == Json({"classifier.bias", "classifier.weight"}));
  for (const Json& module : report["modules"]) CHECK(module["largest_change"].get<double>() > 0);
  const Adapter adapter = fit_adapter(read_adapter_folder(bench.adapter), bench.program);
  const auto expected = merged_weights(bench.program, adapter);
  const Program merged = Program::load(bench.out);
  for (const Weight& weight : bench.program.weights()) {
    const auto changed = expected.find(weight.path);
    CHECK(at::equal(merged.weight(weight.path).value,
                    changed == expected.end() ? weight.value : changed->second));
  }
  CHECK(bench.files() == 3);
}

TEST_CASE("bake: the human report names modules, changes and the difference of logits") {
  const Bench bench;
  const std::string text = output_of([&] { bake(bench.config()); });
  for (const char* part : {"merged module", "attn.c_attn", "mlp.up", "all", "swallowed", "0.0 %",
                           "verified:", "15 tokens in 3 rows"}) {
    INFO(part);
    CHECK(text.find(part) != std::string::npos);
  }
}

TEST_CASE("bake: bfloat16 models are merged within their tolerance, with the loss by rounding stated") {
  const Bench bench(Head::own, at::kBFloat16);
  const Json report = bench.bake_json();
  CHECK(report["verified"]["tolerance"] == 0.05);
  CHECK(report["verified"]["relative_difference"].get<double>() < 0.05);
  CHECK(report["modules"][0]["norm_lost"].get<double>() > 1e-5);
}

TEST_CASE("bake: several adapters add their updates times their factors") {
  const Bench bench;
  const Adapter second = random_adapter(bench.program, {"c_attn:key", "up", "wte"}, {}, {"lora", 3, 5, 0});
  const auto folder = bench.folder / "second";
  write_adapter_folder(folder, pack_adapter(bench.program, second, provenance_of(bench.program)), "");
  BakeConfig config = bench.config();
  config.adapters = {bench.adapter.string() + ":0.5", folder.string() + ":-2"};
  config.json = true;
  const Json report = Json::parse(output_of([&] { bake(config); }));
  CHECK(report["verified"]["relative_difference"].get<double>() < 1e-5);
  CHECK(report["modules"].size() == 4);
  const Adapter first = fit_adapter(read_adapter_folder(bench.adapter), bench.program);
  const Program merged = Program::load(bench.out);
  for (const Json& module : report["modules"]) {
    const std::string path = module["weight"];
    INFO(path);
    at::Tensor expected = bench.program.weight(path).value.to(at::kDouble);
    const auto add = [&](const Adapter& adapter, double factor) {
      for (const SiteUpdate& update : site_updates(adapter)) {
        if (update.site->weight != path) continue;
        const at::Tensor delta = update.delta(bench.program);
        expected = expected + factor * (update.site->kind == SiteKind::linear ? delta : delta.t());
      }
    };
    add(first, 0.5);
    add(second, -2);
    CHECK(at::allclose(merged.weight(path).value.to(at::kDouble), expected, 1e-6, 1e-7));
  }
  const Json history = Json::parse(read_provenance(bench.out));
  CHECK(history["adapters"][1]["factor"] == -2);
}

TEST_CASE(
    "bake: whole weights of two adapters, or with a factor, are refused by name; so is an adapter given "
    "twice") {
  const Bench bench(Head::classifier, at::kFloat, {"classifier"});
  BakeConfig config = bench.config();
  config.adapters = {bench.adapter.string() + ":0.5"};
  bench.require_refused(config, ExitCode::mismatch,
                        {"classifier.bias  has the factor 0.5", "classifier.weight"});
  const Adapter second = random_adapter(bench.program, {"up"}, {"classifier"});
  write_adapter_folder(bench.folder / "second",
                       pack_adapter(bench.program, second, provenance_of(bench.program)), "");
  config.adapters = {bench.adapter.string(), (bench.folder / "second").string()};
  bench.require_refused(config, ExitCode::mismatch, {"classifier.bias  is in two adapters"});
  config.adapters = {bench.adapter.string(), bench.adapter.string()};
  bench.require_refused(config, ExitCode::mismatch, {"given twice"});
}

TEST_CASE("bake: merged weights are those of float64 rounded once, in every type") {
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16, at::kHalf}) {
    INFO(at::toString(type));
    const Bench bench(Head::own, type);
    const Adapter adapter = fit_adapter(read_adapter_folder(bench.adapter), bench.program);
    for (const MergedWeight& merged : merge_targets(bench.program, {{&adapter}})) {
      at::Tensor exact = bench.program.weight(merged.path).value.to(at::kDouble);
      for (const SiteUpdate& update : site_updates(adapter)) {
        if (update.site->weight != merged.path) continue;
        const at::Tensor delta = update.delta(bench.program);
        exact = exact + (update.site->kind == SiteKind::linear ? delta : delta.t());
      }
      const at::Tensor once = exact.to(type), same = merged.update.value.eq(once);
      CHECK(same.sum().item<double>() >= 0.9999 * static_cast<double>(same.numel()));
      // One unit in the last place is at most the type's epsilon times the value.
      const double epsilon = type == at::kFloat ? 0x1p-23 : type == at::kHalf ? 0x1p-10 : 0x1p-7;
      const at::Tensor off = (merged.update.value.to(at::kDouble) - once.to(at::kDouble)).abs();
      CHECK(off.le(once.to(at::kDouble).abs() * epsilon).all().item<bool>());
    }
  }
}

TEST_CASE("bake: a full disk is an io error, and the older output stays") {
  const Bench bench;
  put_text(bench.out, "mine");
  BakeConfig config = bench.config();
  config.overwrite = true;
  const FileSizeLimit limit(4096);
  bench.require_refused(config, ExitCode::io, {"merged.pt"});
  CHECK(file_text(bench.out) == "mine");
  CHECK(bench.files() == 3);
}

TEST_CASE("bake: an aliased head is untied, the embedding stays") {
  const Bench bench(Head::aliased, at::kFloat, {}, {"lm_head"});
  bench.bake_json();
  const Program merged = Program::load(bench.out);
  CHECK(at::equal(merged.weight("wte.weight").value, bench.program.weight("wte.weight").value));
  CHECK_FALSE(at::equal(merged.weight("lm_head.weight").value, merged.weight("wte.weight").value));
}

TEST_CASE("bake: a head in the embedding's own slot is refused, and nothing is written") {
  const Bench bench(Head::shared, at::kFloat, {}, {"lm_head"});
  bench.require_refused(bench.config(), ExitCode::mismatch, {"lm_head", "would change too"});
  CHECK(bench.files() == 2);
}

TEST_CASE("bake: output equal to an input is a usage error, by any name") {
  const Bench bench;
  BakeConfig config = bench.config();
  config.overwrite = true;
  config.out = config.model.path;
  bench.require_refused(config, ExitCode::usage, {"is an input"});
  config.out = (bench.folder / "adapter/../").string() + bench.model.filename().string();
  bench.require_refused(config, ExitCode::usage, {"is an input"});
  std::filesystem::create_hard_link(bench.model, bench.folder / "link.pt");
  config.out = (bench.folder / "link.pt").string();
  bench.require_refused(config, ExitCode::usage, {"is an input"});
  config.out = (bench.adapter / "adapter_model.safetensors").string();
  bench.require_refused(config, ExitCode::usage, {"is an input"});
  config.out = bench.adapter.string();
  bench.require_refused(config, ExitCode::usage, {"is an input"});
  std::filesystem::create_directory(bench.folder / "empty");
  config.out = (bench.folder / "empty").string();
  bench.require_refused(config, ExitCode::usage, {"is a folder"});
}

TEST_CASE("bake: an existing output stays unless overwrite is given") {
  const Bench bench;
  put_text(bench.out, "mine");
  bench.require_refused(bench.config(), ExitCode::usage, {"exists"});
  CHECK(file_text(bench.out) == "mine");
  BakeConfig config = bench.config();
  config.overwrite = true;
  output_of([&] { bake(config); });
  CHECK(Program::load(bench.out).weights().size() == bench.program.weights().size());
}

TEST_CASE("bake: an error after the merge keeps the existing output") {
  const Bench bench(Head::shared, at::kFloat, {}, {"lm_head"});
  put_text(bench.out, "mine");
  BakeConfig config = bench.config();
  config.overwrite = true;
  bench.require_refused(config, ExitCode::mismatch, {"lm_head"});
  CHECK(file_text(bench.out) == "mine");
}

TEST_CASE("bake: the same adapter is never merged twice, other adapters of the base neither") {
  const Bench bench;
  output_of([&] { bake(bench.config()); });
  BakeConfig again = bench.config();
  again.model.path = again.out;
  again.out = (bench.folder / "twice.pt").string();
  bench.require_refused(again, ExitCode::mismatch, {"is already merged into"});
  const Adapter other = random_adapter(bench.program, {"c_proj"});
  write_adapter_folder(bench.folder / "other",
                       pack_adapter(bench.program, other, provenance_of(bench.program)), "");
  again.adapters = {(bench.folder / "other").string()};
  bench.require_refused(again, ExitCode::mismatch, {"does not fit base"});
}

TEST_CASE("bake: merges are remembered across further merges") {
  const Bench bench;
  output_of([&] { bake(bench.config()); });
  const Program merged = Program::load(bench.out);
  write_adapter_folder(bench.folder / "second",
                       pack_adapter(merged, random_adapter(merged, {"c_proj"}), provenance_of(merged)), "");
  BakeConfig next = bench.config();
  next.model.path = bench.out.string();
  next.adapters = {(bench.folder / "second").string()};
  next.out = (bench.folder / "both.pt").string();
  output_of([&] { bake(next); });
  const Json history = Json::parse(read_provenance(next.out));
  CHECK(history["adapters"][0]["sha256"] == read_adapter_folder(next.adapters[0]).sha256);
  CHECK(history["before"]["adapters"][0]["sha256"] == read_adapter_folder(bench.adapter).sha256);
  next.model.path = next.out;
  next.out = (bench.folder / "thrice.pt").string();
  next.adapters = {bench.adapter.string()};
  bench.require_refused(next, ExitCode::mismatch, {"is already merged into"});
}

TEST_CASE("bake: an untrained adapter is a mismatch, and nothing is written") {
  const Bench bench;
  const Adapter fresh = create_adapter(
      bench.program, resolve_targets(bench.program.sites(), {{"up"}, {}, ""}), {"lora", 2, 4, 0}, {}, 1);
  write_adapter_folder(bench.adapter, pack_adapter(bench.program, fresh, provenance_of(bench.program)), "");
  bench.require_refused(bench.config(), ExitCode::mismatch, {"would change nothing"});
  CHECK(bench.files() == 2);
}

TEST_CASE("bake: a weight that is also used where no adapter acts is noticed, and nothing is written") {
  ScriptModels models;
  // The second product multiplies by w from the left: no site.
  const auto model = models.with_forward("hidden_use", R"(
    def forward(self, input_ids):
        h = torch.sin(input_ids.unsqueeze(-1) * torch.arange(1, 9))
        return torch.linear(h, self.w) + torch.matmul(self.w, h.transpose(1, 2)).transpose(1, 2)
  )");
  const TemporaryFolder folder;
  const Program program = Program::load(model);
  write_adapter_folder(folder / "adapter",
                       pack_adapter(program, random_adapter(program, {"w"}), provenance_of(program)), "");
  BakeConfig config;
  config.model.path = model.string();
  config.adapters = {(folder / "adapter").string()};
  config.out = (folder / "merged.pt").string();
  require_error([&] { output_of([&] { bake(config); }); }, ExitCode::mismatch, {"logits differ"});
  const std::filesystem::directory_iterator left(folder.path());
  CHECK(std::distance(begin(left), end(left)) == 1);  // the adapter
}

TEST_CASE("bake: a missing model is a usage error") {
  const Bench bench;
  BakeConfig config = bench.config();
  config.model.path.clear();
  bench.require_refused(config, ExitCode::usage, {"--model"});
}

TEST_CASE("bake: an output folder that cannot be made is an io error before the model is read") {
  const Bench bench;
  put_text(bench.folder / "file", "");
  BakeConfig config = bench.config();
  config.out = (bench.folder / "file/merged.pt").string();
  config.model.path = (bench.folder / "absent.pt").string();
  bench.require_refused(config, ExitCode::io, {"file"});
}
