#include <ATen/ATen.h>

#include <functional>

#include "lora/checkpoint/safetensors.h"
#include "lora/merge/combine.h"
#include "lora/merge/convert.h"
#include "lora/merge/extract.h"
#include "lora/merge/inspect.h"
#include "lora/merge/resize.h"
#include "lora/merge/restore.h"
#include "lora/merge/bake.h"
#include "support/catch.h"
#include "support/errors.h"
#include "support/file_size_limit.h"
#include "support/sample_adapter.h"
#include "support/temporary_folder.h"

using namespace lora;
using namespace lora::test;

namespace {

struct Bench {
  Bench() : model(every_kind_model(folder.path())), program(Program::load(model)) {
    write_adapter_folder(adapter, pack_adapter(program, random_adapter(program, {"c_attn", "up"}), provenance_of(program)),
                         "");
    BakeConfig config;
    config.model.path = model.string();
    config.adapters = {adapter.string()};
    config.out = merged.string();
    config.undo = undo.string();
    output_of([&] { bake(config); });
  }

  /// The command fails with an io error while files may not grow, and leaves what was there before.
  void require_io_error(const std::filesystem::path& out, const std::function<void()>& command,
                        rlim_t most = 64) const {
    const bool existed = std::filesystem::exists(out);
    const std::string before = existed ? file_text(out) : "";
    {
      const FileSizeLimit limit(most);
      require_error([&] { output_of(command); }, ExitCode::io);
    }
    CHECK(std::filesystem::exists(out) == existed);
    if (existed) CHECK(file_text(out) == before);
    for (const auto& item : std::filesystem::recursive_directory_iterator(folder.path())) {
      INFO(item.path());
      CHECK(item.path().extension() != ".tmp");
    }
  }

  TemporaryFolder folder;
  std::filesystem::path model, adapter = folder / "adapter", merged = folder / "merged.pt", undo = folder / "undo";
  Program program;
};

}  // namespace

TEST_CASE("full disk: combine, resize, extract, convert and restore fail with an io error and leave nothing half-written") {
  const Bench bench;
  const auto out = bench.folder / "out";
  const auto tensors = out / "adapter_model.safetensors";
  bench.require_io_error(tensors, [&] {
    CombineConfig config;
    config.adapters = {bench.adapter.string()};
    config.out = out.string();
    combine(config);
  });
  bench.require_io_error(tensors, [&] {
    ResizeConfig config;
    config.adapter = bench.adapter.string();
    config.rank = 1;
    config.out = out.string();
    resize(config);
  });
  bench.require_io_error(tensors, [&] {
    ExtractConfig config;
    config.base = bench.model.string();
    config.tuned = bench.merged.string();
    config.rank = 2;
    config.out = out.string();
    extract(config);
  });
  bench.require_io_error(bench.folder / "ours.pt", [&] {
    ConvertConfig config;
    config.input = bench.adapter.string();
    config.to = "loralib";
    config.out = (bench.folder / "ours.pt").string();
    convert(config);
  });
  bench.require_io_error(bench.folder / "mlx/adapters.safetensors", [&] {
    ConvertConfig config;
    config.input = bench.adapter.string();
    config.to = "mlx";
    config.out = (bench.folder / "mlx").string();
    convert(config);
  });
  bench.require_io_error(bench.folder / "back.pt", [&] {
    RestoreConfig config;
    config.model = bench.merged.string();
    config.undo = bench.undo.string();
    config.out = (bench.folder / "back.pt").string();
    restore(config);
  });
}

TEST_CASE("full disk: an adapter that is to be replaced stays as it was") {
  const Bench bench;
  const auto kept = bench.folder / "kept";
  std::filesystem::copy(bench.adapter, kept);
  bench.require_io_error(kept / "adapter_model.safetensors", [&] {
    ResizeConfig config;
    config.adapter = bench.adapter.string();
    config.rank = 1;
    config.out = kept.string();
    config.overwrite = true;
    resize(config);
  }, std::filesystem::file_size(kept / "adapter_config.json") + 200);  // room for the configuration, not for the tensors
  CHECK(read_adapter_folder(kept).sha256 == read_adapter_folder(bench.adapter).sha256);
}
