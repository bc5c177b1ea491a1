#pragma once

#include <filesystem>
#include <vector>

namespace lora {

/// usage error if an adapter cannot be written to the folder `out`: it is an input or a file, or holds an adapter
/// and `overwrite` is false.
void check_output_folder(const std::filesystem::path& out, const std::vector<std::filesystem::path>& inputs,
                         bool overwrite);

}  // namespace lora
