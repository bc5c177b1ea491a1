#pragma once

#include <torch/csrc/jit/api/module.h>

#include <filesystem>
#include <map>
#include <string>

#include "lora/model/model_info.h"

namespace lora {

/// Extra files of a TorchScript archive: name -> content.
using ExtraFiles = std::map<std::string, std::string>;

/// A loaded archive. The module is on the CPU and in evaluation mode.
struct Archive {
  torch::jit::Module module;
  ExtraFiles extra;
};

/// file error: missing, no TorchScript archive, damaged. The hint says how to make one.
Archive load_archive(const std::filesystem::path& path);

/// Only the extra files, without deserialising the module.
ExtraFiles read_extra_files(const std::filesystem::path& path);

/// What `lora_meta.json` among the extra files says; defaults where it is absent. file error if malformed.
ModelInfo parse_model_info(const ExtraFiles& extra, const std::filesystem::path& path);

/// The message of a LibTorch error without C++ backtrace and without the exporter's Python trace.
std::string short_torch_message(const std::string& what);

}  // namespace lora
