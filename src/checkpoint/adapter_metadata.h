#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/json.h"
#include "lora/checkpoint/adapter_folder.h"

namespace lora {

constexpr const char* kConfigFile = "adapter_config.json";
constexpr const char* kTensorFile = "adapter_model.safetensors";
constexpr const char* kCardFile = "README.md";

using Metadata = std::map<std::string, std::string>;
using Blocks = std::map<std::string, std::vector<RankBlock>>;

/// The "lora." metadata of adapter_model.safetensors, but the content hash: format, base, tokenizer, the
/// decisive part of the config, blocks of stacked slices, labels, further facts.
Metadata adapter_metadata(const AdapterProvenance& provenance, const Json& config, const Blocks& blocks);

/// True if this project wrote the file: any "lora." key.
bool has_own_metadata(const Metadata& metadata);

/// What adapter_metadata wrote; base_name stays empty. file error for a format of the future.
AdapterProvenance parse_provenance(const Metadata& metadata, const JsonOrigin& origin);
Blocks parse_blocks(const Metadata& metadata, const JsonOrigin& origin);

/// file error naming the keys in which adapter_config.json differs from what the tensors were written with.
void check_config(const Metadata& metadata, const Json& config, const JsonOrigin& origin);

}  // namespace lora
