#include <fstream>

#include "base/zip_writer.h"
#include "lora/base/error.h"
#include "model/archive.h"
#include "support/deflated.h"
#include "support/errors.h"
#include "support/script_models.h"

using namespace lora;
using lora::test::ScriptModels;

namespace {

std::string bytes_of(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

void write(const std::filesystem::path& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

ExitCode code_of_loading(const std::filesystem::path& path) {
  try {
    load_archive(path);
    return ExitCode::ok;
  } catch (const Error& error) {
    CHECK(std::string(error.what()).find(path.filename().string()) != std::string::npos);
    CHECK(std::string(error.what()).find(".cpp:") == std::string::npos);
    return error.code();
  }
}

ModelInfo info_of(const std::string& json) { return parse_model_info({{"lora_meta.json", json}}, "m.pt"); }

}  // namespace

TEST_CASE("archive: missing, empty, foreign and truncated files are file errors") {
  ScriptModels models;
  const std::string good = bytes_of(models.transformer());
  const auto path = models.folder() / "bad.pt";
  CHECK(code_of_loading(models.folder() / "absent.pt") == ExitCode::io);
  CHECK(code_of_loading(models.folder()) == ExitCode::file);
  write(path, "");
  CHECK(code_of_loading(path) == ExitCode::file);
  write(path, "this is no archive");
  CHECK(code_of_loading(path) == ExitCode::file);
  for (const double share : {0.1, 0.5, 0.9, 0.999}) {
    write(path, good.substr(0, static_cast<std::size_t>(share * static_cast<double>(good.size()))));
    CHECK(code_of_loading(path) == ExitCode::file);
  }
}

TEST_CASE("archive: a flipped bit in any entry is a file error that names it") {
  ScriptModels models;
  const std::string good = bytes_of(models.transformer());
  const auto path = models.folder() / "flipped.pt";
  for (const ZipEntry& entry : list_zip(good, "good")) {
    if (entry.bytes.empty()) continue;
    const auto begin = static_cast<std::size_t>(entry.bytes.data() - good.data());
    for (const std::size_t place : {begin, begin + entry.bytes.size() / 2, begin + entry.bytes.size() - 1}) {
      std::string bad = good;
      bad[place] = static_cast<char>(bad[place] ^ (1 << place % 8));
      write(path, bad);
      // Packed bytes that were changed may not even unpack.
      const char* what = entry.method == ZipEntry::kStored ? "checksum" : "flipped.pt";
      lora::test::require_error([&] { load_archive(path); }, ExitCode::file,
                                {"flipped.pt", entry.name, what});
    }
  }
}

TEST_CASE("archive: metadata fill the model's description") {
  const ModelInfo info =
      info_of(R"({"format": "lora-model", "version": 1, "task": "classification", "family": "bert",
    "wrapper_prefix": "m", "vocab_size": 100, "context_length": 512, "pad": 0, "eos": null, "labels": ["no", "yes"],
    "head_modules": ["classifier"], "methods": {"forward": {}}})");
  CHECK(info.has_metadata);
  CHECK(info.task == Task::classification);
  CHECK(info.family == "bert");
  CHECK(info.key_prefix == "m");
  CHECK(info.context_length == 512);
  CHECK(info.pad == 0);
  CHECK_FALSE(info.eos.has_value());
  CHECK(info.labels == std::vector<std::string>{"no", "yes"});
  CHECK(class_names(info) == info.labels);
  ModelInfo counted;
  counted.labels = {"1", "0"};
  CHECK(class_names(counted) == counted.labels);
  counted.labels = {"0", "1"};
  CHECK(class_names(counted).empty());
  CHECK(info.methods == std::vector<std::string>{"forward"});
}

TEST_CASE("archive: malformed metadata are file errors") {
  for (const char* bad :
       {"[]", "{", R"({"format": "other"})", R"({"format": "lora-model", "version": 2})",
        R"({"format": "lora-model", "task": "dance"})", R"({"format": "lora-model", "pad": "zero"})"}) {
    INFO(bad);
    try {
      info_of(bad);
      FAIL("accepted");
    } catch (const Error& error) {
      CHECK(error.code() == ExitCode::file);
    }
  }
}

TEST_CASE("archive: extra files take no more memory than the archive explains, whatever size they state") {
  ScriptModels models;
  const std::string good = bytes_of(models.transformer());
  const std::string much = lora::test::deflated(std::string(40 << 20, '\n'));
  const auto path = models.folder() / "bomb.pt";
  for (const std::uint64_t stated : {std::uint64_t{40} << 20, std::uint64_t{1} << 50, std::uint64_t{100}}) {
    std::string bomb;
    ZipWriter writer([&](std::string_view part) { bomb += part; });
    const auto entries = list_zip(good, "z");
    for (const ZipEntry& entry : entries) writer.copy(entry);
    const std::string root = entries.front().name.substr(0, entries.front().name.find('/') + 1);
    writer.copy({root + "extra/tokenizer.json", ZipEntry::kDeflated, 0, stated, much});
    writer.finish();
    write(path, bomb);
    lora::test::require_error([&] { read_extra_files(path); }, ExitCode::file, {"bomb.pt", "tokenizer.json"});
  }
}

TEST_CASE("archive: LibTorch's messages lose their traces") {
  CHECK(short_torch_message(
            "The following operation failed in the TorchScript interpreter.\nTraceback of TorchScript, "
            "serialized code (most recent call last):\n  File \"x.py\", line 3\nRuntimeError: index out of "
            "range\n") == "index out of range");
  CHECK(short_torch_message("bad thing\nException raised from here.cpp:3") == "bad thing");
}

TEST_CASE("archive: tensors are views of the mapped file") {
  ScriptModels models;
  const Archive archive = load_archive(models.transformer());
  std::size_t parameters = 0;
  for (const auto& parameter : archive.module.named_parameters()) {
    const char* data = static_cast<const char*>(parameter.value.const_data_ptr());
    const std::string_view file = archive.file->bytes();
    CHECK((data >= file.data() && data + parameter.value.nbytes() <= file.data() + file.size()));
    CHECK(archive.entry_of_storage.count(parameter.value.storage().data()) == 1);
    ++parameters;
  }
  CHECK(parameters > 0);
}

TEST_CASE("archive: a tensor that claims more than its data is refused") {
  ScriptModels models;
  const std::string good = bytes_of(models.transformer());
  std::string bad;
  ZipWriter writer([&](std::string_view part) { bad += part; });
  for (const ZipEntry& entry : list_zip(good, "z")) {
    if (entry.name.ends_with("/data/0"))
      writer.add(entry.name, entry.bytes.substr(0, entry.bytes.size() / 2));
    else
      writer.copy(entry);
  }
  writer.finish();
  const auto path = models.folder() / "short.pt";
  write(path, bad);
  CHECK(code_of_loading(path) == ExitCode::file);
}
