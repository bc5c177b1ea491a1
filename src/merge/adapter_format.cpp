#include "merge/adapter_format.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <array>

#include "checkpoint/adapter_metadata.h"
#include "lora/base/error.h"
#include "lora/base/files.h"
#include "lora/base/text.h"

namespace lora {
namespace {

namespace fs = std::filesystem;

bool has(const fs::path& path, const char* file) {
  std::error_code ignored;
  return fs::exists(path / file, ignored);
}

/// The file's first bytes.
bool starts_with(const fs::path& path, std::string_view magic) {
  std::error_code ignored;
  if (!fs::is_regular_file(path, ignored) || fs::file_size(path, ignored) < magic.size()) return false;
  return MappedFile(path).bytes().starts_with(magic);
}

AdapterFolder read_peft(const fs::path& path, const ConvertConfig&) { return read_adapter_folder(path); }

void write_peft(const fs::path& path, const AdapterFolder& adapter, const ConvertConfig& config) {
  write_adapter_folder(path, adapter,
                       cat("Converted from ", printable(config.input), " by `lora-merge convert`."));
}

const AdapterFormat kFormats[] = {
    {"peft", true, [](const fs::path& path) { return has(path, kTensorFile); }, read_peft, write_peft},
    {"mlx", true, [](const fs::path& path) { return has(path, "adapters.safetensors"); }, read_mlx,
     write_mlx},
    {"gguf", false, [](const fs::path& path) { return starts_with(path, "GGUF"); }, read_gguf_adapter,
     write_gguf_adapter},
    {"loralib", false, [](const fs::path& path) { return starts_with(path, "PK\3\4"); }, read_loralib,
     write_loralib},
};

}  // namespace

const AdapterFormat& find_format(const std::string& name, const fs::path& path) {
  for (const AdapterFormat& format : kFormats) {
    if (name == format.name || (name == "auto" && format.recognises(path))) return format;
  }
  require_exists(path, "adapter");
  throw Error(ExitCode::file, cat("\"", path.string(), "\" is no adapter of a known format"),
              "known are a PEFT folder, an mlx-lm folder with adapters.safetensors, a .gguf file and a "
              "loralib .pt file");
}

void refuse_inexpressible(const AdapterFolder& adapter, const std::string& format) {
  std::vector<std::string> lines;
  for (const ModuleUpdate& update : module_updates(adapter)) {
    if (update.config.method != "lora")
      lines.push_back(cat("  ", printable(update.module), "  ", update.config.method));
  }
  for (const auto& [name, tensor] : other_tensors(adapter))
    lines.push_back(cat("  ", printable(name), "  stored whole"));
  if (lines.empty()) return;
  throw Error(ExitCode::mismatch,
              cat(format, " adapters hold plain low-rank updates only; this one has\n", join(lines, "\n")),
              "merge it into the base (lora-merge bake) and convert the model instead");
}

ModuleUpdate with_scale(ModuleUpdate update, double scale) {
  const double quotient = update.scale() / scale;
  if (quotient != 1) update.B = (update.B.to(at::kDouble) * quotient).to(update.B.scalar_type());
  update.config.rank_stabilised = false;
  update.config.set_scale(scale);
  return update;
}

bool names_embedding(const std::string& module) {
  constexpr std::array kNames = {"embed_tokens",   "wte", "wpe", "embed_in", "word_embeddings", "embeddings",
                                 "embed_positions"};
  const std::string last = module.substr(module.rfind('.') + 1);
  return std::find(kNames.begin(), kNames.end(), last) != kNames.end();
}

AdapterFolder folder_of(const std::vector<ModuleUpdate>& updates, const ConvertConfig& config) {
  AdapterFolder folder;
  folder.config.task_type = "CAUSAL_LM";
  folder.provenance.base_name = config.base_name;
  folder.provenance.facts["converted_from"] = std::filesystem::path(config.input).filename().string();
  return with_modules(std::move(folder), updates);
}

}  // namespace lora
