#include "model/archive.h"

#include <ATen/EmptyTensor.h>
#include <ATen/Parallel.h>
#include <torch/csrc/jit/frontend/builtin_functions.h>
#include <torch/csrc/jit/runtime/operator.h>

#include <algorithm>
#include <new>

#include "lora/base/error.h"
#include "lora/base/files.h"
#include "lora/base/text.h"
#include "model/archive_code.h"
#include "model/called_methods.h"
#include "model/code_check.h"
#include "model/import_module.h"
#include "model/model_trust.h"

namespace lora {
namespace {

constexpr const char* kExportHint =
    "make one with scripts/export_model.py SOURCE OUT.pt, or save torch.jit.trace(...) with .save()";

[[noreturn]] void fail_load(const std::filesystem::path& path, const std::string& why) {
  throw Error(ExitCode::file, cat("\"", path.string(), "\" is no readable TorchScript file: ", why),
              kExportHint);
}

void check_readable(const std::filesystem::path& path) {
  std::error_code ignored;
  require_exists(path, "model file", kExportHint);
  if (!std::filesystem::is_regular_file(path, ignored)) fail_load(path, "it is not a regular file");
  if (std::filesystem::file_size(path, ignored) == 0) fail_load(path, "it is empty");
}

struct OpenArchive {
  std::shared_ptr<MappedFile> file;
  std::vector<ZipEntry> entries;
};

OpenArchive open_archive(const std::filesystem::path& path) {
  OpenArchive archive{std::make_shared<MappedFile>(path), {}};
  try {
    archive.entries = list_zip(archive.file->bytes(), cat("\"", path.string(), "\""));
  } catch (const Error& error) {
    throw Error(error.code(), error.what(), kExportHint);
  }
  const bool has_code =
      std::any_of(archive.entries.begin(), archive.entries.end(),
                  [](const ZipEntry& entry) { return entry.name.ends_with("/constants.pkl"); });
  if (!has_code) fail_load(path, "it is a ZIP archive without TorchScript code (a torch.save() file?)");
  return archive;
}

/// LibTorch does not look at the archive's checksums, and a flipped bit of a weight changes every answer.
/// Entries that are compressed are checked when they are unpacked.
void check_checksums(const OpenArchive& archive, const std::filesystem::path& path) {
  const auto count = static_cast<std::int64_t>(archive.entries.size());
  at::parallel_for(0, count, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const ZipEntry& entry = archive.entries[static_cast<std::size_t>(i)];
      if (has_its_checksum(entry)) continue;
      throw Error(
          ExitCode::file,
          cat("\"", path.string(), "\" is damaged: \"", printable(entry.name), "\" has not its checksum"),
          "copy or export the file again");
    }
  });
}

bool is_aten_operator(const std::string& name) {
  const auto symbol = c10::Symbol::aten(name);
  return !torch::jit::getAllOperatorsFor(symbol).empty() ||
         !torch::jit::getAllBuiltinFunctionsFor(symbol).empty();
}

/// Of a file that the user trusts for this run, LibTorch says what cannot be read.
void check_trust(const OpenArchive& opened, const ArchiveCode& code, const std::filesystem::path& path) {
  std::vector<CodeFinding> findings;
  try {
    findings = check_code(code, is_aten_operator, cat("\"", path.string(), "\""));
  } catch (const Error&) {
    if (!every_model_is_trusted()) throw;
  }
  if (!findings.empty()) require_trust(path, opened.file->bytes(), findings);
}

ExtraFiles extra_files(const OpenArchive& archive, const std::filesystem::path& path) {
  ExtraFiles files;
  UnpackingRoom room(archive.file->bytes().size(), "its extra files");
  for (const ZipEntry& entry : archive.entries) {
    const auto root = entry.name.find('/');
    if (root == std::string::npos || !std::string_view(entry.name).substr(root + 1).starts_with(kExtraFolder))
      continue;
    const std::string name = entry.name.substr(root + 1 + kExtraFolder.size());
    files[name] = entry.method == ZipEntry::kStored ? std::string(entry.bytes)
                                                    : room.unzip(entry, cat("\"", path.string(), "\""));
  }
  return files;
}

template <class Function>
auto reading(const std::filesystem::path& path, Function function) {
  check_readable(path);
  try {
    return function();
  } catch (const c10::OutOfMemoryError&) {
    throw Error(ExitCode::memory, cat("not enough memory to load \"", path.string(), "\""));
  } catch (const c10::Error& error) {
    fail_load(path, short_torch_message(error.what_without_backtrace()));
  } catch (const Error&) {
    throw;
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const std::exception& error) {  // the code's compiler and damaged pickles have other types
    fail_load(path, short_torch_message(error.what()));
  }
}

void check_extents(const torch::jit::Module& module, const std::filesystem::path& path) {
  for (const auto& attribute : module.named_attributes()) {
    if (!attribute.value.isTensor() || !attribute.value.toTensor().has_storage()) continue;
    const at::Tensor tensor = attribute.value.toTensor();
    const std::size_t needed =
        at::detail::computeStorageNbytes(tensor.sizes(), tensor.strides(), tensor.itemsize(),
                                         static_cast<std::size_t>(tensor.storage_offset()));
    if (tensor.numel() > 0 && needed > tensor.storage().nbytes())
      fail_load(path, cat("tensor \"", printable(attribute.name), "\" is larger than its data"));
  }
}

}  // namespace

std::string short_torch_message(const std::string& what) {
  std::string_view text = what;
  if (const auto trace = text.find("Traceback of TorchScript"); trace != std::string_view::npos) {
    if (const auto last = text.rfind("RuntimeError: "); last != std::string_view::npos && last > trace) {
      text = text.substr(last + std::string_view("RuntimeError: ").size());
    }
  }
  for (std::string_view mark : {"\nException raised from", "\nFile \"", "\n"}) {
    if (const auto end = text.find(mark); end != std::string_view::npos && end > 0)
      text = text.substr(0, end);
  }
  return printable(trim(text));
}

Archive load_archive(const std::filesystem::path& path, bool known_whole, const std::string& unneeded) {
  return reading(path, [&] {
    OpenArchive opened = open_archive(path);
    ArchiveCode code =
        read_archive_code(opened.entries, opened.file->bytes().size(), cat("\"", path.string(), "\""));
    if (!is_own_file(path)) check_trust(opened, code, path);
    if (!known_whole) check_checksums(opened, path);
    std::string code_hash = hash_of_code(code, opened.entries);
    if (!unneeded.empty()) code = without_method(std::move(code), unneeded, cat("\"", path.string(), "\""));
    ImportedModule imported = import_module(opened.file, opened.entries, code);
    check_extents(imported.module, path);
    if (imported.module.hasattr("training")) imported.module.eval();
    ExtraFiles extra = extra_files(opened, path);
    return Archive{
        std::move(imported.module), std::move(extra),          std::move(imported.entry_of_storage),
        std::move(opened.file),     std::move(opened.entries), std::move(code_hash)};
  });
}

ExtraFiles read_extra_files(const std::filesystem::path& path) {
  return reading(path, [&] { return extra_files(open_archive(path), path); });
}

}  // namespace lora
