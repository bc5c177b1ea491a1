#include <ATen/ATen.h>

#include "lora/base/error.h"
#include "support/catch.h"
#include "support/sample_adapter.h"
#include "support/temporary_folder.h"

using namespace lora;
using namespace lora::test;

namespace {

struct SmallAdapter {
  SmallAdapter() : program(Program::load(every_kind_model(folder.path()))) {
    const Adapter adapter = random_adapter(program, {"c_attn:query"}, {}, {"lora", 1, 4, 0});
    write_adapter_folder(path, pack_adapter(program, adapter, provenance_of(program)), "");
  }

  /// True if the folder is refused with a file error; anything else that is thrown ends the test.
  bool is_refused() const {
    try {
      read_adapter_folder(path);
      return false;
    } catch (const Error& error) {
      return error.code() == ExitCode::file;
    }
  }

  TemporaryFolder folder;
  Program program;
  std::filesystem::path path = folder / "adapter";
  std::filesystem::path tensors = path / "adapter_model.safetensors", config = path / "adapter_config.json";
};

/// Flips one bit after the other in place and calls `check(byte)` with the file so damaged. (Rewriting a file
/// makes the file system wait for the disk.)
template <class Check>
void for_every_flip(const std::filesystem::path& path, Check check) {
  const std::string bytes = file_text(path);
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  const auto put = [&](std::size_t place, char byte) {
    file.seekp(static_cast<std::streamoff>(place)).put(byte).flush();
    REQUIRE(file.good());
  };
  for (std::size_t place = 0; place < bytes.size(); ++place) {
    for (int bit = 0; bit < 8; ++bit) {
      put(place, static_cast<char>(bytes[place] ^ (1 << bit)));
      check(place);
    }
    put(place, bytes[place]);
  }
}

}  // namespace

TEST_CASE("corruption: every flipped bit of the tensor file is refused") {
  const SmallAdapter adapter;
  REQUIRE_FALSE(adapter.is_refused());
  std::vector<std::size_t> silent;
  for_every_flip(adapter.tensors, [&](std::size_t place) {
    if (!adapter.is_refused()) silent.push_back(place);
  });
  CHECK(silent.empty());
  REQUIRE_FALSE(adapter.is_refused());
}

TEST_CASE("corruption: every truncation and every appended byte of the tensor file is refused") {
  const SmallAdapter adapter;
  put_text(adapter.tensors, file_text(adapter.tensors) + " ");
  CHECK(adapter.is_refused());
  std::size_t length = std::filesystem::file_size(adapter.tensors) - 1, silent = 0;
  while (length-- > 0) {
    std::filesystem::resize_file(adapter.tensors, length);
    silent += adapter.is_refused() ? 0 : 1;
  }
  CHECK(silent == 0);
}

TEST_CASE("corruption: a flipped bit of the config is refused or leaves what the adapter computes") {
  const SmallAdapter adapter;
  const MethodConfig good = read_adapter_folder(adapter.path).config.of("attn.c_attn");
  std::size_t refused = 0, wrong = 0;
  for_every_flip(adapter.config, [&](std::size_t) {
    if (adapter.is_refused()) {
      ++refused;
      return;
    }
    const MethodConfig read = read_adapter_folder(adapter.path).config.of("attn.c_attn");
    wrong += read.rank != good.rank || read.scale() != good.scale() ? 1 : 0;
  });
  CHECK(wrong == 0);
  // Most of the 8 flips of a byte break JSON or a key.
  CHECK(refused > 4 * std::filesystem::file_size(adapter.config));
}

TEST_CASE("corruption: every truncation of the config is refused") {
  const SmallAdapter adapter;
  std::size_t length = std::filesystem::file_size(adapter.config) - 1;  // without the newline it is whole
  while (length-- > 0) {
    std::filesystem::resize_file(adapter.config, length);
    REQUIRE(adapter.is_refused());
  }
}
