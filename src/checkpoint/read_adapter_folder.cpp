#include <ATen/ATen.h>

#include "checkpoint/adapter_metadata.h"
#include "checkpoint/content_hash.h"
#include "checkpoint/peft_config.h"
#include "checkpoint/peft_keys.h"
#include "lora/base/files.h"
#include "lora/base/sha256.h"
#include "lora/base/text.h"
#include "lora/checkpoint/safetensors.h"

namespace lora {
namespace {

constexpr std::uint64_t kMostConfigBytes = 16 << 20;

/// file error with the likely mistake: a run folder, a pickled adapter, no adapter at all. io error if
/// nothing is there.
void check_exists(const std::filesystem::path& folder) {
  std::error_code ignored;
  const auto has = [&](const std::filesystem::path& name) {
    return std::filesystem::exists(folder / name, ignored);
  };
  if (has(kConfigFile) && has(kTensorFile)) return;
  const std::string shown = cat("\"", folder.string(), "\"");
  const std::string hint = cat("give the folder that holds ", kConfigFile, " and ", kTensorFile);
  require_exists(folder, "adapter folder", hint);
  if (has(std::filesystem::path("adapter") / kConfigFile)) {
    throw Error(ExitCode::file, cat(shown, " is a run folder, not an adapter folder"),
                cat("give ", (folder / "adapter").string()));
  }
  if (has(kConfigFile) && has("adapter_model.bin")) {
    throw Error(ExitCode::file,
                cat(shown, " holds adapter_model.bin, a pickle, which is never read: it can run code"),
                cat("load it with PEFT and save it again, which writes ", kTensorFile));
  }
  throw Error(ExitCode::file,
              cat(shown, " is no adapter folder: it lacks ", has(kConfigFile) ? kTensorFile : kConfigFile),
              hint);
}

/// Files of this project carry a hash of all that they say; others have none.
void check_content(const SafetensorsFile& file, const std::string& place) {
  if (!has_own_metadata(file.metadata)) return;
  const auto stated = file.metadata.find(kContentHashKey);
  if (stated == file.metadata.end()) {
    throw Error(ExitCode::file,
                cat(place, ": ", kContentHashKey, " is missing beside other \"lora.\" metadata"),
                "the file is damaged or was edited: take a good copy");
  }
  const std::string found = content_hash(file);
  if (found == stated->second) return;
  throw Error(ExitCode::file,
              cat(place, ": its content has the sha256 ", found.substr(0, 12), ", recorded is ",
                  printable(stated->second.substr(0, 12))),
              "the file is damaged or was edited: take a good copy");
}

}  // namespace

AdapterFolder read_adapter_folder(const std::filesystem::path& folder) {
  check_exists(folder);
  const std::filesystem::path tensor_path = folder / kTensorFile, config_path = folder / kConfigFile;
  const std::string place = tensor_path.string();
  AdapterFolder result;
  result.path = folder;
  SafetensorsFile file;
  {
    const MappedFile mapped(tensor_path);
    result.sha256 = sha256(mapped.bytes());
    result.bytes = mapped.bytes().size();
    file = parse_safetensors(mapped.bytes(), place);
  }
  check_content(file, place);
  const JsonOrigin origin{config_path.string(), ExitCode::file}, metadata_origin{place, ExitCode::file};
  const Json config = parse_json(read_file(config_path, kMostConfigBytes), origin);
  result.config = parse_peft_config(config, origin);
  check_config(file.metadata, config, metadata_origin);
  result.provenance = parse_provenance(file.metadata, metadata_origin);
  if (config.contains("base_model_name_or_path") && config["base_model_name_or_path"].is_string()) {
    result.provenance.base_name = config["base_model_name_or_path"].get<std::string>();
  }
  result.blocks = parse_blocks(file.metadata, metadata_origin);
  check_factors(split_keys(file.tensors, place), result.config, place);
  result.tensors = std::move(file.tensors);
  return result;
}

}  // namespace lora
