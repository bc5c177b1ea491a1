#pragma once

#include <torch/csrc/jit/api/module.h>

#include <map>
#include <memory>
#include <string>

#include "base/zip_archive.h"
#include "lora/base/files.h"
#include "model/archive_code.h"

namespace lora {

/// A module and where its tensors lie.
struct ImportedModule {
  torch::jit::Module module;
  /// Where a tensor's storage begins -> the archive's entry that holds it.
  std::map<const void*, std::string> entry_of_storage;
};

/// The TorchScript module of a mapped archive with the given entries and code, on the CPU. Stored tensors are
/// the mapping itself, which they keep alive: nothing is read before it is used. No source but those of
/// `code` is compiled, and the pickles must be the ones in it. c10::Error as LibTorch throws it.
ImportedModule import_module(std::shared_ptr<MappedFile> file, const std::vector<ZipEntry>& entries,
                             const ArchiveCode& code);

}  // namespace lora
