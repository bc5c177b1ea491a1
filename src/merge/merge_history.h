#pragma once

#include <filesystem>
#include <string>

#include "base/json.h"
#include "lora/checkpoint/adapter_folder.h"

namespace lora {

/// What a model file says about how it was made (lora_provenance.json); null for an original.
Json read_history(const std::filesystem::path& model);

/// mismatch error if the adapter is among those that were merged into the model.
void refuse_second_merge(const Json& history, const AdapterFolder& adapter,
                         const std::filesystem::path& model);

/// The history of the model that merging `adapter` into one with history `before` makes.
Json merged_history(const Json& before, const AdapterFolder& adapter, const std::string& base_fingerprint);

}  // namespace lora
