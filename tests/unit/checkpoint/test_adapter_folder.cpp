#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include "base/json.h"
#include "lora/base/text.h"
#include "lora/checkpoint/adapter_folder.h"
#include "lora/checkpoint/safetensors.h"
#include "support/catch.h"
#include "support/errors.h"
#include "support/sample_adapter.h"
#include "support/temporary_folder.h"

using namespace lora;
using namespace lora::test;

namespace {

struct Bench {
  explicit Bench(Head head = Head::own) : program(Program::load(every_kind_model(folder.path(), head))) {}

  std::filesystem::path write(const Adapter& adapter) const {
    write_adapter_folder(path(), pack_adapter(program, adapter, provenance_of(program)), "# card");
    return path();
  }
  std::filesystem::path path() const { return folder / "adapter"; }
  std::filesystem::path tensors() const { return path() / "adapter_model.safetensors"; }
  std::filesystem::path config() const { return path() / "adapter_config.json"; }
  Json config_json() const { return Json::parse(file_text(config())); }
  Adapter read() const { return fit_adapter(read_adapter_folder(path()), program); }

  /// Rewrites the tensors as another tool would: without our metadata.
  template <class Change>
  void rewrite_as_foreign(Change change) const {
    SafetensorsFile file = read_safetensors(tensors());
    file.metadata = {{"format", "pt"}};
    change(file.tensors);
    put_text(tensors(), serialize_safetensors(file));
  }

  TemporaryFolder folder;
  Program program;
};

void require_unreadable(const Bench& bench, std::initializer_list<std::string> parts) {
  require_error([&] { read_adapter_folder(bench.path()); }, ExitCode::file, parts);
}

void require_misfit(const Bench& bench, std::initializer_list<std::string> parts) {
  require_error([&] { bench.read(); }, ExitCode::mismatch, parts);
}

void require_equal(const Adapter& before, const Adapter& after) {
  const auto a = before.tensors(), b = after.tensors();
  REQUIRE(a.size() == b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    INFO(a[i].first);
    CHECK(a[i].first == b[i].first);
    CHECK(at::equal(*a[i].second, *b[i].second));
  }
}

}  // namespace

TEST_CASE("adapter folder: all kinds of targets and saved modules come back bit for bit") {
  const Bench bench(Head::classifier);
  const Adapter adapter = random_adapter(
      bench.program, {"wte", "c_attn:query", "c_attn:value", "c_proj", "down"}, {"classifier"});
  bench.write(adapter);
  const Adapter read = bench.read();
  require_equal(adapter, read);
  for (std::size_t i = 0; i < read.targets.size(); ++i) {
    CHECK(read.targets[i].config.rank == 2);
    CHECK(read.targets[i].config.alpha == 4);
    CHECK(read.targets[i].target.slice == adapter.targets[i].target.slice);
  }
}

TEST_CASE("adapter folder: the config holds PEFT's keys, sorted, and nothing that old releases refuse") {
  const Bench bench(Head::classifier);
  bench.write(random_adapter(bench.program, {"c_attn", "up"}, {"classifier"}, {"lora", 2, 4, 0.1}));
  const Json config = bench.config_json();
  const Json expected = Json::parse(R"({
    "alpha_pattern": {}, "base_model_name_or_path": "tiny-base", "bias": "none", "fan_in_fan_out": true,
    "inference_mode": true, "init_lora_weights": true, "lora_alpha": 4, "lora_dropout": 0.1,
    "modules_to_save": ["classifier"], "peft_type": "LORA", "r": 2, "rank_pattern": {},
    "target_modules": ["c_attn", "up"], "task_type": "SEQ_CLS", "use_dora": false, "use_rslora": false})");
  CHECK(config == expected);
  CHECK(file_text(bench.config()) == expected.dump(2) + "\n");
  CHECK(config["lora_alpha"].is_number_integer());
}

TEST_CASE("adapter folder: target_modules are short where they choose nothing else, whole paths otherwise") {
  const Bench bench;
  bench.write(random_adapter(bench.program, {"mlp.up"}));
  CHECK(bench.config_json()["target_modules"] == Json({"up"}));
  const PeftConfig short_form = read_adapter_folder(bench.path()).config;
  CHECK(short_form.target_modules == std::vector<std::string>{"up"});
}

TEST_CASE("adapter folder: paths that end alike keep their own targets and patterns") {
  const TemporaryFolder folder;
  const Program program = Program::load(like_named_model(folder.path()));
  const auto written = [&](const Adapter& adapter) {
    write_adapter_folder(folder / "adapter", pack_adapter(program, adapter, provenance_of(program)), "");
    require_equal(adapter, fit_adapter(read_adapter_folder(folder / "adapter"), program));
    return read_adapter_folder(folder / "adapter").config;
  };
  CHECK(written(random_adapter(program, {"list.0"})).target_modules == std::vector<std::string>{"list.0"});
  CHECK(written(random_adapter(program, {"inner.same"})).target_modules ==
        std::vector<std::string>{"inner.same"});
  Adapter adapter = random_adapter(program, {"same"});
  REQUIRE(adapter.targets.size() == 2);
  adapter.targets[1] = random_adapter(program, {"/same/"}, {}, {"lora", 5, 7, 0}).targets[0];
  const PeftConfig config = written(adapter);
  // The pattern "same" would also match inner.same, which has the default.
  CHECK(config.rank_pattern.front().first == "inner.same");
  CHECK(config.of("inner.same").rank == 2);
  CHECK(config.of("same").rank == 5);
  CHECK(config.of("same").alpha == 7);
}

TEST_CASE("adapter folder: a folder that cannot be made is an io error") {
  const Bench bench;
  put_text(bench.path(), "a file");
  require_error([&] { bench.write(random_adapter(bench.program, {"up"})); }, ExitCode::io, {"adapter"});
}

TEST_CASE("adapter folder: the card has the front matter of model hubs") {
  const Bench bench;
  bench.write(random_adapter(bench.program, {"up"}));
  CHECK(file_text(bench.path() / "README.md") ==
        "---\nbase_model: \"tiny-base\"\nlibrary_name: peft\ntags:\n- lora\n---\n\n# card\n");
}

TEST_CASE("adapter folder: slices are stored as a whole module with block-stacked rank") {
  const Bench bench;
  const Adapter adapter = random_adapter(bench.program, {"c_attn:query", "c_attn:value"});
  bench.write(adapter);
  const AdapterFolder folder = read_adapter_folder(bench.path());
  REQUIRE(folder.tensors.size() == 2);
  const at::Tensor& A = folder.tensors.at("base_model.model.attn.c_attn.lora_A.weight");
  const at::Tensor& B = folder.tensors.at("base_model.model.attn.c_attn.lora_B.weight");
  CHECK(A.sizes() == at::IntArrayRef({4, 16}));
  CHECK(B.sizes() == at::IntArrayRef({48, 4}));
  CHECK(bench.config_json()["r"] == 4);
  CHECK(bench.config_json()["lora_alpha"] == 8);
  CHECK(folder.config.of("attn.c_attn").scale() == adapter.targets[0].config.scale());
  CHECK(at::equal(A.slice(0, 0, 2), adapter.targets[0].tensors.at("lora_A.weight")));
  CHECK(at::equal(B.slice(0, 0, 16).slice(1, 0, 2), adapter.targets[0].tensors.at("lora_B.weight")));
  CHECK(at::equal(B.slice(0, 32, 48).slice(1, 2, 4), adapter.targets[1].tensors.at("lora_B.weight")));
  CHECK(B.slice(0, 16, 32).count_nonzero().item<std::int64_t>() == 0);
  CHECK(B.slice(0, 0, 16).slice(1, 2, 4).count_nonzero().item<std::int64_t>() == 0);
}

TEST_CASE("adapter folder: without our metadata the stacked module computes the same as its slices") {
  const Bench bench;
  const at::NoGradGuard no_grad;
  const bool training = false;
  const Adapter adapter = random_adapter(bench.program, {"c_attn:query", "c_attn:value"});
  bench.write(adapter);
  bench.rewrite_as_foreign([](TensorMap&) {});
  const Adapter whole = bench.read();
  REQUIRE(whole.targets.size() == 1);
  CHECK(whole.targets[0].target.slice == nullptr);
  const auto logits = [&](const Adapter& each) {
    return bench.program.executable(make_hooks(each, training)).logits(every_kind_inputs());
  };
  CHECK(at::allclose(logits(whole), logits(adapter), 1e-5, 1e-6));
}

TEST_CASE("adapter folder: provenance comes back") {
  const Bench bench;
  bench.write(random_adapter(bench.program, {"up"}));
  const AdapterFolder folder = read_adapter_folder(bench.path());
  CHECK(folder.provenance.base_name == "tiny-base");
  CHECK(folder.provenance.base_fingerprint == bench.program.fingerprint());
  CHECK(folder.provenance.tokenizer_hash == "abc");
  CHECK(folder.provenance.facts == std::map<std::string, std::string>{{"step", "12"}});
  CHECK(folder.bytes == std::filesystem::file_size(bench.tensors()));
}

TEST_CASE("adapter folder: the classes of a head come back in their order, none where they have no names") {
  const Bench bench(Head::classifier);
  const Adapter adapter = random_adapter(bench.program, {"up"}, {"classifier"});
  AdapterProvenance provenance = provenance_of(bench.program);
  provenance.labels = {"yes, really", "no", "na\u00efve \"\U0001F600\""};
  write_adapter_folder(bench.path(), pack_adapter(bench.program, adapter, provenance), "");
  CHECK(read_adapter_folder(bench.path()).provenance.labels == provenance.labels);
  require_equal(adapter, bench.read());  // the base only counts its classes
  bench.write(adapter);
  CHECK(read_adapter_folder(bench.path()).provenance.labels.empty());
  CHECK(!read_safetensors(bench.tensors()).metadata.count("lora.labels"));
}

TEST_CASE("adapter folder: different ranks and scales become patterns") {
  const Bench bench;
  Adapter adapter = random_adapter(bench.program, {"c_proj", "up", "down"});
  const Adapter other = random_adapter(bench.program, {"up"}, {}, {"lora", 5, 7.5, 0});
  adapter.targets[1] = other.targets[0];
  bench.write(adapter);
  CHECK(bench.config_json()["r"] == 2);
  CHECK(bench.config_json()["rank_pattern"] == Json({{"mlp.up", 5}}));
  CHECK(bench.config_json()["alpha_pattern"] == Json({{"mlp.up", 7.5}}));
  const Adapter read = bench.read();
  require_equal(adapter, read);
  CHECK(read.targets[1].config.rank == 5);
  CHECK(read.targets[1].config.alpha == 7.5);
  CHECK(read.targets[2].config.rank == 2);
}

TEST_CASE("adapter folder: the rank-stabilised scale is stored") {
  const Bench bench;
  const Adapter adapter = random_adapter(bench.program, {"c_attn:query", "up"}, {}, {"lora", 4, 8, 0, true});
  bench.write(adapter);
  CHECK(bench.config_json()["use_rslora"] == true);
  const Adapter read = bench.read();
  for (const AdaptedTarget& target : read.targets) CHECK(target.config.scale() == 4);
}

TEST_CASE("adapter folder: an adapter of another base with equal shapes is a mismatch") {
  const Bench bench;
  bench.write(random_adapter(bench.program, {"up"}));
  const Program sibling = Program::load(every_kind_model(bench.folder.path(), Head::own, at::kFloat, 2));
  const auto action = [&] { fit_adapter(read_adapter_folder(bench.path()), sibling); };
  require_error(action, ExitCode::mismatch,
                {"does not fit base", "another base whose tensors have the same names"});
  const std::string hint = error_of(action).hint();
  CHECK(hint.find("tiny-base") != std::string::npos);
  CHECK(hint.find(bench.program.fingerprint().substr(0, 12)) != std::string::npos);
  CHECK(hint.find(sibling.fingerprint().substr(0, 12)) != std::string::npos);
}

TEST_CASE("adapter folder: every missing, extra and misshapen tensor is listed at once") {
  const Bench bench;
  bench.write(random_adapter(bench.program, {"c_proj", "up", "down"}));
  bench.rewrite_as_foreign([](TensorMap& tensors) {
    const auto move = [&](const std::string& from, const std::string& to) {
      for (const char* leaf : {".lora_A.weight", ".lora_B.weight"}) {
        tensors["base_model.model." + to + leaf] = tensors.at("base_model.model." + from + leaf);
        tensors.erase("base_model.model." + from + leaf);
      }
    };
    move("mlp.down", "mlp.dwon");
    tensors["base_model.model.mlp.up.lora_A.weight"] = at::zeros({2, 17});
    tensors["base_model.model.mlp.bias"] = at::zeros({3});
    tensors["base_model.model.mlp.up.weight"] = at::zeros({24, 16});
  });
  require_misfit(bench, {"5 mismatches", "mlp.up.lora_A.weight  adapter [2, 17], base needs [2, 16]",
                         "mlp.dwon  not in the base; nearest: mlp.down",
                         "mlp.down  a target of adapter_config.json, has no tensors in the adapter",
                         "mlp.bias  not in the base", "mlp.up.weight  is in no module of modules_to_save"});
}

TEST_CASE("adapter folder: a linear adapter at an embedding is a mismatch") {
  const Bench bench;
  bench.write(random_adapter(bench.program, {"up"}));
  bench.rewrite_as_foreign([](TensorMap& tensors) {
    tensors["base_model.model.wte.lora_A.weight"] = at::zeros({2, 40});
    tensors["base_model.model.wte.lora_B.weight"] = at::zeros({16, 2});
  });
  require_misfit(bench, {"wte.lora_embedding_A  missing: the base has embedding here"});
}

TEST_CASE("adapter folder: a saved module with a missing or misshapen parameter is a mismatch") {
  const Bench bench(Head::classifier);
  bench.write(random_adapter(bench.program, {"up"}, {"classifier"}));
  bench.rewrite_as_foreign([](TensorMap& tensors) {
    tensors.erase("base_model.model.classifier.bias");
    tensors["base_model.model.classifier.weight"] = at::zeros({2, 16});
  });
  require_misfit(bench, {"classifier.bias  in a module of modules_to_save",
                         "classifier.weight  adapter [2, 16], base [3, 16]"});
}

TEST_CASE("adapter folder: PEFT's copy of the frozen embedding must be the base's") {
  const Bench bench;
  bench.write(random_adapter(bench.program, {"wte"}));
  const char* key = "base_model.model.wte.base_layer.weight";
  bench.rewrite_as_foreign(
      [&](TensorMap& tensors) { tensors[key] = bench.program.weight("wte.weight").value; });
  CHECK(bench.read().targets.size() == 1);
  bench.rewrite_as_foreign([&](TensorMap& tensors) { tensors[key] = tensors.at(key) + 1; });
  require_misfit(bench, {"wte.weight  the adapter's copy of this frozen weight differs"});
}

TEST_CASE("adapter folder: tensors with NaN do not fit anything") {
  const Bench bench;
  Adapter adapter = random_adapter(bench.program, {"up"});
  adapter.targets[0].tensors.at("lora_A.weight")[0][0] = std::nan("");
  bench.write(adapter);
  require_error([&] { bench.read(); }, ExitCode::file, {"mlp.up.lora_A.weight", "NaN or Inf"});
}

TEST_CASE("adapter folder: half-precision factors of other tools are read as float32") {
  const Bench bench;
  const Adapter adapter = random_adapter(bench.program, {"up"});
  bench.write(adapter);
  bench.rewrite_as_foreign([](TensorMap& tensors) {
    for (auto& [key, tensor] : tensors) tensor = tensor.to(at::kBFloat16);
  });
  const Adapter read = bench.read();
  for (const auto& [name, tensor] : read.targets[0].tensors) {
    CHECK(tensor.scalar_type() == at::kFloat);
    CHECK(at::equal(tensor, adapter.targets[0].tensors.at(name).to(at::kBFloat16).to(at::kFloat)));
  }
}

TEST_CASE("adapter folder: folders that are none say what they are instead") {
  const Bench bench;
  require_error([&] { read_adapter_folder(bench.path()); }, ExitCode::io, {"does not exist"});
  std::filesystem::create_directories(bench.path());
  require_unreadable(bench, {"is no adapter folder", "lacks adapter_config.json"});
  put_text(bench.config(), "{}");
  require_unreadable(bench, {"lacks adapter_model.safetensors"});
  put_text(bench.path() / "adapter_model.bin", "x");
  require_unreadable(bench, {"adapter_model.bin", "pickle"});
  const auto run = [&] { read_adapter_folder(bench.folder.path()); };
  require_error(run, ExitCode::file, {"is a run folder"});
  CHECK(error_of(run).hint().find(bench.path().string()) != std::string::npos);
}

TEST_CASE("adapter folder: a config that no longer belongs to the tensors is a file error") {
  const Bench bench;
  bench.write(random_adapter(bench.program, {"up"}));
  const std::string good = file_text(bench.config());
  edit(bench.config(), "\"lora_alpha\": 4", "\"lora_alpha\": 5");
  require_unreadable(bench, {"was changed after the tensors were written", "lora_alpha is 5, written was 4"});
  put_text(bench.config(), good);
  edit(bench.config(), "\"base_model_name_or_path\": \"tiny-base\"",
       "\"base_model_name_or_path\": \"hub/name\"");
  CHECK(read_adapter_folder(bench.path()).provenance.base_name == "hub/name");
}

TEST_CASE(
    "adapter folder: a rank that the tensors do not have is a file error, also for other tools' files") {
  const Bench bench;
  bench.write(random_adapter(bench.program, {"c_proj", "up"}));
  bench.rewrite_as_foreign([](TensorMap&) {});
  edit(bench.config(), "\"r\": 2", "\"r\": 3");
  require_unreadable(bench, {"2 of 2 modules disagree", "mlp.up has A [2, 16] and B [24, 2]", "rank 3"});
}

TEST_CASE("adapter folder: half a pair of factors, integers and unknown keys are file errors") {
  const Bench bench;
  const Adapter adapter = random_adapter(bench.program, {"up"});
  const auto refuse = [&](auto change, std::initializer_list<std::string> parts) {
    bench.write(adapter);
    bench.rewrite_as_foreign(change);
    require_unreadable(bench, parts);
  };
  const std::string up = "base_model.model.mlp.up.";
  refuse([&](TensorMap& t) { t.erase(up + "lora_B.weight"); },
         {"mlp.up has lora_A.weight; it needs A and B"});
  refuse([&](TensorMap& t) { t[up + "lora_A.weight"] = at::zeros({2, 16}, at::kInt); },
         {"mlp.up", "no floating-point"});
  refuse([&](TensorMap& t) { t[up + "lora_A.weight"] = at::zeros({32}); }, {"mlp.up has A [32]"});
  refuse(
      [&](TensorMap& t) { t[up + "lora_magnitude_vector"] = at::zeros({24}); },
      {"mlp.up has lora_A.weight, lora_B.weight, lora_magnitude_vector; it needs A and B and nothing else"});
  refuse([&](TensorMap& t) { t[up + "lora_B.bias"] = at::zeros({24}); }, {"lora_B.bias"});
  refuse([&](TensorMap& t) { t["mlp.up.lora_A.weight"] = at::zeros({2, 16}); },
         {"mlp.up.lora_A.weight", "1 of 3"});
  refuse(
      [&](TensorMap& t) {
        t[cat("base_model.model.", std::string(600, 'a'), ".lora_A.weight")] = at::zeros({2, 16});
      },
      {"no kind known"});
}

TEST_CASE(
    "adapter folder: a missing or misshapen DoRA magnitude is a file error, one of other rows a mismatch") {
  const Bench bench;
  const Adapter adapter = random_adapter(bench.program, {"up", "c_attn:query"}, {}, {"dora", 2, 4, 0});
  const std::string key = "base_model.model.mlp.up.lora_magnitude_vector";
  const auto change = [&](const at::Tensor& magnitude) {
    bench.write(adapter);
    bench.rewrite_as_foreign([&](TensorMap& tensors) {
      magnitude.defined() ? tensors[key] = magnitude : (tensors.erase(key), magnitude);
    });
  };
  change({});
  require_unreadable(bench,
                     {"mlp.up has lora_A.weight, lora_B.weight; it needs A and B, lora_magnitude_vector"});
  change(at::zeros({23}));
  require_unreadable(bench, {"mlp.up has lora_magnitude_vector [23]", "B's 24 rows"});
  change(at::zeros({24}, at::kInt));
  require_unreadable(bench, {"mlp.up has lora_magnitude_vector [24] of int"});
  bench.write(adapter);
  bench.rewrite_as_foreign([&](TensorMap& tensors) {
    tensors[key] = at::zeros({23});
    tensors["base_model.model.mlp.up.lora_B.weight"] = at::zeros({23, 2});
  });
  require_misfit(bench, {"mlp.up.lora_magnitude_vector  adapter [23], base needs [24]"});
}

TEST_CASE("adapter folder: magnitudes outside a DoRA slice are those of the base") {
  const Bench bench;
  const Adapter adapter = random_adapter(bench.program, {"c_attn:query"}, {}, {"dora", 2, 4, 0});
  const AdapterFolder folder = pack_adapter(bench.program, adapter, {});
  const at::Tensor m = folder.tensors.at("base_model.model.attn.c_attn.lora_magnitude_vector");
  const at::Tensor norms = bench.program.weight("attn.c_attn.weight").value.norm(2, {0});
  CHECK(at::allclose(m.narrow(0, 16, 32), norms.narrow(0, 16, 32), 1e-6, 0));
  CHECK(at::equal(m.narrow(0, 0, 16), adapter.targets.front().tensors.at("lora_magnitude_vector")));
}

TEST_CASE("adapter folder: blocks that do not describe the tensors are a file error") {
  const Bench bench;
  bench.write(random_adapter(bench.program, {"c_attn:query", "c_attn:value"}));
  AdapterFolder folder = read_adapter_folder(bench.path());
  const auto refuse = [&](std::vector<RankBlock> blocks, const std::string& part) {
    folder.blocks["attn.c_attn"] = std::move(blocks);
    require_error([&] { fit_adapter(folder, bench.program); }, ExitCode::file, {part});
  };
  refuse({{"query", 2}}, "do not have the parts");
  refuse({{"query", 2}, {"value", 3}}, "do not have the parts");
  refuse({{"query", 2}, {"key", 2}}, "do not have the parts");
  refuse({{"query", 2}, {"other", 2}}, "part \"other\"");
}

TEST_CASE("adapter folder: writing over an old adapter replaces all of it") {
  const Bench bench;
  bench.write(random_adapter(bench.program, {"up"}));
  const Adapter second = random_adapter(bench.program, {"c_proj", "down"});
  bench.write(second);
  require_equal(second, bench.read());
}
