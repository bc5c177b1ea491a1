#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "lora/config/convert_config.h"
#include "merge/module_update.h"

namespace lora {

/// A way to store adapters: one row of the table in adapter_format.cpp.
struct AdapterFormat {
  const char* name;
  bool is_folder;
  bool (*recognises)(const std::filesystem::path& path);
  AdapterFolder (*read)(const std::filesystem::path& path, const ConvertConfig& config);
  void (*write)(const std::filesystem::path& path, const AdapterFolder& adapter, const ConvertConfig& config);
};

/// The format of that name; for "auto" the one that recognises `path`. file error if none does.
const AdapterFormat& find_format(const std::string& name, const std::filesystem::path& path);

/// mismatch error naming everything in the adapter that `format` has no place for: other methods than plain
/// low-rank updates, biases, token rows, modules stored whole.
void refuse_inexpressible(const AdapterFolder& adapter, const std::string& format);

/// The update with `scale` instead of its own, the quotient multiplied into B and rounded once to its type.
ModuleUpdate with_scale(ModuleUpdate update, double scale);

/// True for modules that are embeddings by their name, where nothing else tells.
bool names_embedding(const std::string& module);

/// A folder with these modules, for readers of formats that tell nothing else.
AdapterFolder folder_of(const std::vector<ModuleUpdate>& updates, const ConvertConfig& config);

AdapterFolder read_mlx(const std::filesystem::path& path, const ConvertConfig& config);
void write_mlx(const std::filesystem::path& path, const AdapterFolder& adapter, const ConvertConfig& config);
AdapterFolder read_gguf_adapter(const std::filesystem::path& path, const ConvertConfig& config);
void write_gguf_adapter(const std::filesystem::path& path, const AdapterFolder& adapter,
                        const ConvertConfig& config);
AdapterFolder read_loralib(const std::filesystem::path& path, const ConvertConfig& config);
void write_loralib(const std::filesystem::path& path, const AdapterFolder& adapter,
                   const ConvertConfig& config);

}  // namespace lora
