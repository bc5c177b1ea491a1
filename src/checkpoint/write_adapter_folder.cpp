#include "base/json.h"
#include "checkpoint/adapter_metadata.h"
#include "checkpoint/content_hash.h"
#include "checkpoint/peft_config.h"
#include "lora/base/files.h"
#include "lora/base/text.h"
#include "lora/checkpoint/adapter_folder.h"
#include "lora/checkpoint/safetensors.h"

namespace lora {
namespace {

/// Model card with the front matter by which model hubs find the library and the base.
std::string card_text(const std::string& base_name, const std::string& text) {
  return cat("---\nbase_model: ", Json(base_name).dump(), "\nlibrary_name: peft\ntags:\n- lora\n---\n\n",
             text, "\n");
}

}  // namespace

void write_adapter_folder(const std::filesystem::path& path, const AdapterFolder& adapter,
                          const std::string& card) {
  const std::string base_name = printable(adapter.provenance.base_name);  // may come from a file's name
  const Json config = peft_config_json(adapter.config, base_name);
  SafetensorsFile file{adapter.tensors, adapter_metadata(adapter.provenance, config, adapter.blocks)};
  file.metadata[kContentHashKey] = content_hash(file);
  PendingFolder folder(path);
  folder.write(kConfigFile, config.dump(2) + "\n");
  folder.write(kCardFile, card_text(base_name, card));
  folder.write(kTensorFile, serialize_safetensors(file));
  folder.accept();
}

}  // namespace lora
