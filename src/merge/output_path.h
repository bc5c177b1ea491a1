#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace lora {

enum class OutputKind { file, folder, adapter };

struct Output {
  std::filesystem::path path;
  OutputKind kind = OutputKind::file;
  std::string option = "--out";
};

/// usage error if the output is an input by any name, of another kind than what is there, or exists (a
/// folder: with anything in it; an adapter: with an adapter in it) while `overwrite` is false. io error if it
/// cannot be written.
void check_output(const Output& output, const std::vector<std::filesystem::path>& inputs, bool overwrite);

}  // namespace lora
