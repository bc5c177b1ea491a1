#include "checkpoint/peft_config.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "lora/base/path_pattern.h"
#include "lora/base/text.h"

namespace lora {
namespace {

/// What decides the computation, in alphabetical order.
constexpr const char* kDecisive[] = {
    "alpha_pattern", "bias",           "lora_alpha",    "modules_to_save",         "peft_type", "r",
    "rank_pattern",  "target_modules", "token_indices", "trainable_token_indices", "use_dora",  "use_rslora"};

/// The first pattern that matches counts.
template <class Value>
void apply_pattern(const std::vector<std::pair<std::string, Value>>& patterns, const std::string& module,
                   Value& value) {
  for (const auto& [pattern, own] : patterns) {
    if (!PathPattern::at_end(pattern, "pattern", ExitCode::file).matches(module)) continue;
    value = own;
    return;
  }
}

template <class Value>
Json pattern_json(const std::vector<std::pair<std::string, Value>>& patterns) {
  Json json = Json::object();
  for (const auto& [pattern, value] : patterns) json[pattern] = value;
  return json;
}

/// Whole numbers as integers: PEFT declares lora_alpha so.
Json number_json(double value) {
  const bool whole = value == std::floor(value) && std::abs(value) < 1e15;
  return whole ? Json(static_cast<std::int64_t>(value)) : Json(value);
}

template <class Value>
Json or_null(bool present, const Value& value) {
  return present ? Json(value) : Json(nullptr);
}

/// The most frequent rank and alpha, to be the default.
MethodConfig usual_config(const std::vector<std::pair<std::string, MethodConfig>>& modules) {
  std::map<std::pair<std::int64_t, double>, int> count;
  MethodConfig usual;
  int most = 0;
  for (const auto& [path, config] : modules) {
    const int seen = ++count[{config.rank, config.alpha}];
    if (seen <= most) continue;
    most = seen;
    usual = config;
  }
  return usual;
}

/// Longer paths go first: a pattern also matches longer paths that end in it, and the first match counts.
template <class Value>
void add_pattern(std::vector<std::pair<std::string, Value>>& patterns, const std::string& path, Value value) {
  const auto place = std::find_if(patterns.begin(), patterns.end(),
                                  [&](const auto& pattern) { return pattern.first.size() < path.size(); });
  patterns.insert(place, {path, value});
}

}  // namespace

const std::vector<std::int64_t>* PeftConfig::token_ids(const std::string& module) const {
  for (const auto& [name, ids] : token_indices) {
    if (name.empty() || module == name || module.ends_with("." + name)) return &ids;
  }
  return nullptr;
}

MethodConfig PeftConfig::of(const std::string& module) const {
  MethodConfig config = defaults;
  apply_pattern(rank_pattern, module, config.rank);
  apply_pattern(alpha_pattern, module, config.alpha);
  return config;
}

void describe_modules(PeftConfig& config, const std::vector<std::pair<std::string, MethodConfig>>& modules) {
  config.defaults = usual_config(modules);
  config.target_modules.clear();
  for (const auto& [path, own] : modules) {
    config.target_modules.push_back(path);
    if (own.rank != config.defaults.rank) add_pattern(config.rank_pattern, path, own.rank);
    if (own.alpha != config.defaults.alpha) add_pattern(config.alpha_pattern, path, own.alpha);
  }
  for (const auto& [path, own] : modules) {
    const MethodConfig read = config.of(path);
    if (read.rank == own.rank && read.alpha == own.alpha) continue;
    // Its path ends like another's: say what is the default, too.
    add_pattern(config.rank_pattern, path, own.rank);
    add_pattern(config.alpha_pattern, path, own.alpha);
  }
}

namespace {

Json tokens_config_json(const PeftConfig& config, const std::string& base_name) {
  const auto& [module, ids] = config.token_indices.front();
  return {{"base_model_name_or_path", base_name},
          {"inference_mode", true},
          {"init_weights", true},
          {"peft_type", kTokensAlone},
          {"target_modules", {module}},
          {"task_type", or_null(!config.task_type.empty(), config.task_type)},
          {"token_indices", ids}};
}

}  // namespace

Json peft_config_json(const PeftConfig& config, const std::string& base_name) {
  if (config.tokens_alone) return tokens_config_json(config, base_name);
  std::vector<std::pair<std::string, Json>> alphas;
  for (const auto& [pattern, alpha] : config.alpha_pattern) alphas.emplace_back(pattern, number_json(alpha));
  Json json = {{"alpha_pattern", pattern_json(alphas)},
               {"base_model_name_or_path", base_name},
               {"bias", config.bias},
               {"fan_in_fan_out", config.fan_in_fan_out},
               {"inference_mode", true},
               {"init_lora_weights", true},
               {"lora_alpha", number_json(config.defaults.alpha)},
               {"lora_dropout", config.defaults.dropout},
               {"modules_to_save", or_null(!config.modules_to_save.empty(), config.modules_to_save)},
               {"peft_type", config.defaults.method == "bottleneck" ? kBottleneck : "LORA"},
               {"r", config.defaults.rank},
               {"rank_pattern", pattern_json(config.rank_pattern)},
               {"target_modules",
                config.target_regex.empty() ? Json(config.target_modules) : Json(config.target_regex)},
               {"task_type", or_null(!config.task_type.empty(), config.task_type)},
               {"use_dora", config.defaults.method == "dora"},
               {"use_rslora", config.defaults.rank_stabilised}};
  // Older releases refuse keys that they do not know.
  if (!config.token_indices.empty()) json["trainable_token_indices"] = pattern_json(config.token_indices);
  return json;
}

Json decisive_part(const Json& config) {
  Json part = Json::object();
  for (const char* key : kDecisive) part[key] = config.value(key, Json());
  return part;
}

bool is_targeted(const PeftConfig& config, const std::string& module) {
  if (!config.target_regex.empty())
    return PathPattern(config.target_regex, "target_modules", ExitCode::file).matches(module);
  return std::any_of(config.target_modules.begin(), config.target_modules.end(),
                     [&](const std::string& name) { return module == name || module.ends_with("." + name); });
}

}  // namespace lora
