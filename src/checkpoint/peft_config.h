#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/json.h"
#include "lora/checkpoint/adapter_folder.h"

namespace lora {

/// peft_type of a file that holds token rows only.
constexpr const char* kTokensAlone = "TRAINABLE_TOKENS";
/// peft_type of sequential adapters, which PEFT does not have, so that it refuses the file.
constexpr const char* kBottleneck = "BOTTLENECK";

/// Reads LoraConfig's or TrainableTokensConfig's JSON. file error naming every feature that is switched on
/// and not supported.
PeftConfig parse_peft_config(const Json& json, const JsonOrigin& origin);

/// Sets the defaults to the most frequent rank and alpha, patterns for the modules that have others, and the
/// modules' paths as targets.
void describe_modules(PeftConfig& config, const std::vector<std::pair<std::string, MethodConfig>>& modules);

/// The keys that every PEFT release reads, sorted as PEFT sorts them.
Json peft_config_json(const PeftConfig& config, const std::string& base_name);

/// The part of that JSON that decides what an adapter computes: stored beside the tensors, too.
Json decisive_part(const Json& config);

/// True if target_modules matches: equal or a suffix of whole segments, or the regular expression on the
/// whole path.
bool is_targeted(const PeftConfig& config, const std::string& module);

}  // namespace lora
