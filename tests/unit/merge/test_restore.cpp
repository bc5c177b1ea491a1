#include <ATen/ATen.h>

#include "base/json.h"
#include "lora/checkpoint/safetensors.h"
#include "lora/merge/bake.h"
#include "lora/merge/restore.h"
#include "merge/byte_planes.h"
#include "merge/undo.h"
#include "support/catch.h"
#include "support/errors.h"
#include "support/sample_adapter.h"
#include "support/temporary_folder.h"

using namespace lora;
using namespace lora::test;

namespace {

struct Bench {
  explicit Bench(at::ScalarType type = at::kFloat)
      : model(every_kind_model(folder.path(), Head::own, type)), program(Program::load(model)) {
    write_adapter_folder(
        adapter, pack_adapter(program, random_adapter(program, {"c_attn", "up"}), provenance_of(program)),
        "");
  }

  void merge() const {
    BakeConfig config;
    config.model.path = model.string();
    config.adapters = {adapter.string()};
    config.out = merged.string();
    config.undo = undo.string();
    config.overwrite = true;
    output_of([&] { bake(config); });
  }

  RestoreConfig config() const {
    RestoreConfig config;
    config.model = merged.string();
    config.undo = undo.string();
    config.out = restored.string();
    config.overwrite = true;
    return config;
  }

  void require_refused(const RestoreConfig& asked, ExitCode code,
                       std::initializer_list<std::string> parts) const {
    require_error([&] { output_of([&] { restore(asked); }); }, code, parts);
  }

  TemporaryFolder folder;
  std::filesystem::path model, adapter = folder / "adapter", merged = folder / "merged.pt",
                               undo = folder / "undo", restored = folder / "restored.pt";
  Program program;
};

}  // namespace

TEST_CASE("byte planes: every width comes back, and small changes take little room") {
  at::manual_seed(1);
  for (const at::ScalarType type : {at::kChar, at::kHalf, at::kFloat, at::kDouble}) {
    const at::Tensor before = (at::randn({5000}) * 50).to(type), after = (at::randn({5000}) * 50).to(type);
    const std::string difference =
        encode_difference(bytes_of(before), bytes_of(after), before.element_size());
    CHECK(decode_difference(difference, bytes_of(after), before.element_size(), "x") == bytes_of(before));
  }
  const at::Tensor weight = at::randn({100000}) * 0.02, changed = weight * (1 + 1e-3 * at::randn({100000}));
  CHECK(encode_difference(bytes_of(weight), bytes_of(changed), 4).size() < 0.6 * weight.nbytes());
  CHECK(encode_difference(bytes_of(weight), bytes_of(weight), 4).size() < 0.02 * weight.nbytes());
  CHECK(encode_difference("", "", 4).size() < 20);
  CHECK(decode_difference(encode_difference("", "", 4), "", 4, "x").empty());
}

TEST_CASE("byte planes: differences that are damaged or of other sizes are file errors") {
  const std::string difference = encode_difference("abcdefgh", "abcdefgx", 4);
  for (std::size_t length = 0; length < difference.size(); ++length) {
    require_error([&] { decode_difference(difference.substr(0, length), "abcdefgx", 4, "x"); },
                  ExitCode::file, {"x: "});
  }
  require_error([&] { decode_difference(difference, "abcd", 4, "x"); }, ExitCode::file);
  require_error([&] { decode_difference(difference, "abcdefghijkl", 4, "x"); }, ExitCode::file);
  require_error([&] { decode_difference(difference + "z", "abcdefgx", 4, "x"); }, ExitCode::file);
}

TEST_CASE("restore: an undo file gives the base's weights back, bit by bit, a hundred times") {
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
    const Bench bench(type);
    bench.merge();
    REQUIRE(Program::load(bench.merged).fingerprint() != bench.program.fingerprint());
    for (int round = 0; round < 50; ++round) {
      output_of([&] { restore(bench.config()); });
      std::filesystem::rename(bench.restored, bench.model);  // merged again from what was restored
      bench.merge();
    }
    output_of([&] { restore(bench.config()); });
    CHECK(Program::load(bench.restored).fingerprint() == bench.program.fingerprint());
    CHECK(read_provenance(bench.restored).empty());
  }
}

TEST_CASE("restore: the base itself is checked and copied byte by byte") {
  const Bench bench;
  bench.merge();
  RestoreConfig config = bench.config();
  config.undo.clear();
  config.base = bench.model.string();
  output_of([&] { restore(config); });
  CHECK(file_text(bench.restored) == file_text(bench.model));
  const TemporaryFolder other;
  config.base = every_kind_model(other.path(), Head::classifier).string();
  bench.require_refused(config, ExitCode::mismatch, {"was merged from the base"});
}

TEST_CASE("restore: a model that was not merged, another undo file, and one that is none, are refused") {
  const Bench bench, other(at::kDouble);
  bench.merge();
  other.merge();
  RestoreConfig config = bench.config();
  config.model = bench.model.string();
  bench.require_refused(config, ExitCode::mismatch, {"is not a merged model"});
  config = bench.config();
  config.undo = other.undo.string();
  bench.require_refused(config, ExitCode::mismatch, {"was merged from the base"});
  config.undo = (bench.adapter / "adapter_model.safetensors").string();
  bench.require_refused(config, ExitCode::file, {"is no undo file"});
  config.undo.clear();
  bench.require_refused(config, ExitCode::usage, {"either --undo FILE or --base PATH"});
  config = bench.config();
  config.out = config.undo;
  bench.require_refused(config, ExitCode::usage, {"is an input"});
  CHECK_FALSE(std::filesystem::exists(bench.restored));
}

TEST_CASE("restore: a merged model whose weights were changed since is refused") {
  const Bench bench;
  bench.merge();
  const Program merged = Program::load(bench.merged);
  const std::string path = "mlp.up.weight";
  const auto changed = bench.folder / "changed.pt";
  merged.save(changed, {{path, merged.weight(path).value + 1}}, read_provenance(bench.merged));
  RestoreConfig config = bench.config();
  config.model = changed.string();
  bench.require_refused(config, ExitCode::mismatch, {"is not what the merge made"});
}

TEST_CASE("restore: every flipped byte of an undo file is refused, or changes nothing") {
  const TemporaryFolder folder;
  const at::Tensor before = at::arange(6, at::kFloat), after = before + 0.25;
  Undo undo;
  undo.add("w", before, after);
  undo.write(folder / "undo");
  const std::string good = file_text(folder / "undo");
  int refused = 0;
  for (std::size_t i = 0; i < good.size(); ++i) {
    std::string bad = good;
    bad[i] = static_cast<char>(bad[i] ^ 0x10);
    put_text(folder / "bad", bad);
    try {
      const Undo read(folder / "bad");
      for (const std::string& name : read.names()) {
        const at::Tensor back = read.before(name, after);
        CHECK(at::equal(back, before));
      }
    } catch (const Error& error) {
      CHECK((error.code() == ExitCode::file || error.code() == ExitCode::mismatch));
      ++refused;
    }
  }
  CHECK(refused > static_cast<int>(good.size()) / 2);
}
