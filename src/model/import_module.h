#pragma once

#include <torch/csrc/jit/api/module.h>

#include <map>
#include <memory>
#include <string>

#include "base/zip_archive.h"
#include "lora/base/files.h"

namespace lora {

/// A module and where its tensors lie.
struct ImportedModule {
  torch::jit::Module module;
  /// Where a tensor's storage begins -> the archive's entry that holds it. Empty if LibTorch copied the
  /// tensors.
  std::map<const void*, std::string> entry_of_storage;
};

/// The TorchScript module of a mapped archive with the given entries, on the CPU. Stored tensors are the
/// mapping itself, which they keep alive: nothing is read before it is used. Modules that restore their state
/// by code of their own (quantised ones) are read by LibTorch's loader, with a copy of every tensor.
/// c10::Error as LibTorch throws it.
ImportedModule import_module(std::shared_ptr<MappedFile> file, const std::vector<ZipEntry>& entries);

}  // namespace lora
