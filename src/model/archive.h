#pragma once

#include <torch/csrc/jit/api/module.h>

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/zip_archive.h"
#include "lora/base/files.h"
#include "lora/model/model_info.h"

namespace lora {

inline constexpr std::string_view kExtraFolder = "extra/";  ///< of an archive, below its root

/// Extra files of a TorchScript archive: name -> content.
using ExtraFiles = std::map<std::string, std::string>;

/// A loaded archive. The module is on the CPU, in evaluation mode, and its tensors are the mapped file.
struct Archive {
  torch::jit::Module module;
  ExtraFiles extra;
  std::map<const void*, std::string> entry_of_storage;  ///< where a storage begins -> name among `entries`
  std::shared_ptr<MappedFile> file;
  std::vector<ZipEntry> entries;  ///< views of `file`
  std::string code_hash;          ///< hash_of_code()
};

/// file error: missing, no TorchScript archive, damaged. The hint says how to make one. untrusted error:
/// code that check_code() finds fault with, in a file that the user does not trust. `known_whole`: the file
/// had its checksums in an earlier process and has not changed since. A method called `unneeded`, and what
/// only it calls, is not compiled, which takes most of the time.
Archive load_archive(const std::filesystem::path& path, bool known_whole = false,
                     const std::string& unneeded = "");

/// Only the extra files, without deserialising the module.
ExtraFiles read_extra_files(const std::filesystem::path& path);

/// What `lora_meta.json` among the extra files says; defaults where it is absent. file error if malformed.
ModelInfo parse_model_info(const ExtraFiles& extra, const std::filesystem::path& path);

/// The message of a LibTorch error without C++ backtrace and without the exporter's Python trace.
std::string short_torch_message(const std::string& what);

}  // namespace lora
