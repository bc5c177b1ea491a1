#pragma once

#include <filesystem>
#include <string>

#include "base/json.h"
#include "merge/adapter_sources.h"

namespace lora {

/// Its name inside a model file, and beside the weights of a Hugging Face folder.
constexpr const char* kHistoryFile = "lora_provenance.json";

/// What a model says about how it was made: of a .pt file or a Hugging Face folder; null for an original.
Json read_history(const std::filesystem::path& model);

/// mismatch error if one of the adapters is among those that were merged into the model.
void refuse_second_merge(const Json& history, const AdapterSources& adapters,
                         const std::filesystem::path& model);

/// The history of the model that merging `adapters` into one with history `before` makes.
Json merged_history(const Json& before, const AdapterSources& adapters, const std::string& base_fingerprint);

}  // namespace lora
