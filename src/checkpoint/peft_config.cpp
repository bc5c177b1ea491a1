#include "checkpoint/peft_config.h"

#include <algorithm>
#include <cmath>
#include <regex>
#include <set>

#include "lora/base/text.h"

namespace lora {
namespace {

/// Keys that say nothing about what the tensors compute: descriptions, and how training started.
const std::set<std::string> kIgnored = {"auto_mapping",  "base_model_name_or_path", "eva_config",    "inference_mode",
                                        "layers_pattern", "megatron_core",           "peft_version", "qalora_group_size",
                                        "revision"};
const std::set<std::string> kHandled = {"alpha_pattern",     "exclude_modules", "fan_in_fan_out",  "init_lora_weights",
                                        "layers_to_transform", "lora_alpha",      "lora_dropout",    "modules_to_save",
                                        "peft_type",         "r",               "rank_pattern",    "target_modules",
                                        "task_type",         "use_rslora"};
/// Initial values whose base model stays as it was. Others (pissa, olora, corda, loftq ...) change the base's weights.
const std::set<std::string> kHarmlessStarts = {"gaussian", "eva", "orthogonal", "mica"};
/// What decides the computation, in peft_config_json's order.
constexpr const char* kDecisive[] = {"alpha_pattern", "lora_alpha",     "modules_to_save", "peft_type", "r",
                                     "rank_pattern",  "target_modules", "use_rslora"};

bool is_off(const Json& value) {
  return value.is_null() || value == false || value == "none" || (value.is_structured() && value.empty());
}

bool matches(const std::string& expression, const std::string& module, const std::string& what) {
  try {
    return std::regex_match(module, std::regex(expression));
  } catch (const std::regex_error& error) {
    throw Error(ExitCode::file, cat(what, " \"", printable(expression), "\" is no regular expression known here: ",
                                    error.what()));
  }
}

/// PEFT's rule: the pattern is the end of the path, after a segment border.
template <class Value>
void apply_pattern(const std::vector<std::pair<std::string, Value>>& patterns, const std::string& module, Value& value) {
  for (const auto& [pattern, own] : patterns) {
    if (!matches(cat("(.*\\.)?(", pattern, ")"), module, "pattern")) continue;
    value = own;
    return;
  }
}

class ConfigReader {
 public:
  ConfigReader(const Json& json, const JsonOrigin& origin) : json_(json), origin_(origin) {}

  PeftConfig read() const {
    if (!json_.is_object()) throw Error(origin_.code, cat(origin_.place, ": no JSON object"));
    refuse_unsupported();
    PeftConfig config;
    // PEFT's defaults, for files that leave keys out.
    config.defaults.rank = 8;
    config.defaults.alpha = 8;
    if (const Json* r = find("r")) config.defaults.rank = rank(*r, "r");
    if (const Json* alpha = find("lora_alpha")) config.defaults.alpha = this->alpha(*alpha, "lora_alpha");
    if (const Json* dropout = find("lora_dropout")) {
      config.defaults.dropout = json_number(*dropout, "lora_dropout", origin_);
    }
    config.defaults.rank_stabilized = flag("use_rslora");
    config.fan_in_fan_out = flag("fan_in_fan_out");
    config.narrowed = find("exclude_modules") || find("layers_to_transform");
    if (const Json* task = find("task_type")) config.task_type = json_string(*task, "task_type", origin_);
    read_targets(config);
    if (const Json* modules = find("modules_to_save")) config.modules_to_save = texts(*modules, "modules_to_save");
    each_pattern("rank_pattern", [&](const std::string& pattern, const Json& value) {
      config.rank_pattern.emplace_back(pattern, rank(value, pattern));
    });
    each_pattern("alpha_pattern", [&](const std::string& pattern, const Json& value) {
      config.alpha_pattern.emplace_back(pattern, alpha(value, pattern));
    });
    return config;
  }

 private:
  /// Null if absent or null.
  const Json* find(const char* key) const {
    const auto found = json_.find(key);
    return found == json_.end() || found->is_null() ? nullptr : &*found;
  }

  void refuse_unsupported() const {
    const std::string type = json_string(json_at(json_, "peft_type", origin_), "peft_type", origin_);
    std::vector<std::string> features;
    if (type != "LORA") features.push_back(cat("peft_type ", type));
    const Json* start = find("init_lora_weights");
    if (start && start->is_string() && !kHarmlessStarts.count(start->get<std::string>())) {
      features.push_back(cat("init_lora_weights ", start->get<std::string>(), " (changes the base's weights)"));
    }
    for (const auto& [key, value] : json_.items()) {
      if (!kIgnored.count(key) && !kHandled.count(key) && !is_off(value)) features.push_back(key);
    }
    if (features.empty()) return;
    throw Error(origin_.code,
                cat(origin_.place, " uses what this version does not support: ", printable(join(features, ", "))),
                "merge the adapter with PEFT (merge_and_unload), or convert it to plain LoRA there");
  }

  void read_targets(PeftConfig& config) const {
    const Json* targets = find("target_modules");
    if (!targets) return;
    if (targets->is_string())
      config.target_regex = targets->get<std::string>();
    else
      config.target_modules = texts(*targets, "target_modules");
  }

  std::vector<std::string> texts(const Json& value, const char* key) const {
    if (!value.is_array()) throw Error(origin_.code, cat(origin_.place, ": \"", key, "\" must be an array of strings"));
    std::vector<std::string> all;
    for (const Json& item : value) all.push_back(json_string(item, key, origin_));
    return all;
  }

  template <class Take>
  void each_pattern(const char* key, Take take) const {
    const Json* patterns = find(key);
    if (!patterns) return;
    if (!patterns->is_object()) throw Error(origin_.code, cat(origin_.place, ": \"", key, "\" must be an object"));
    for (const auto& [pattern, value] : patterns->items()) take(pattern, value);
  }

  bool flag(const char* key) const {
    const Json* value = find(key);
    return value && json_bool(*value, key, origin_);
  }

  std::int64_t rank(const Json& value, const std::string& key) const {
    const std::int64_t rank = json_int(value, key, origin_);
    if (rank < 1) throw Error(origin_.code, cat(origin_.place, ": rank \"", printable(key), "\" is ", rank, ", below 1"));
    return rank;
  }

  double alpha(const Json& value, const std::string& key) const { return json_number(value, key, origin_); }

  const Json& json_;
  const JsonOrigin& origin_;
};

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

}  // namespace

MethodConfig PeftConfig::of(const std::string& module) const {
  MethodConfig config = defaults;
  apply_pattern(rank_pattern, module, config.rank);
  apply_pattern(alpha_pattern, module, config.alpha);
  return config;
}

PeftConfig parse_peft_config(const Json& json, const JsonOrigin& origin) { return ConfigReader(json, origin).read(); }

Json peft_config_json(const PeftConfig& config, const std::string& base_name) {
  std::vector<std::pair<std::string, Json>> alphas;
  for (const auto& [pattern, alpha] : config.alpha_pattern) alphas.emplace_back(pattern, number_json(alpha));
  return {{"alpha_pattern", pattern_json(alphas)},
          {"base_model_name_or_path", base_name},
          {"bias", "none"},
          {"fan_in_fan_out", config.fan_in_fan_out},
          {"inference_mode", true},
          {"init_lora_weights", true},
          {"lora_alpha", number_json(config.defaults.alpha)},
          {"lora_dropout", config.defaults.dropout},
          {"modules_to_save", or_null(!config.modules_to_save.empty(), config.modules_to_save)},
          {"peft_type", "LORA"},
          {"r", config.defaults.rank},
          {"rank_pattern", pattern_json(config.rank_pattern)},
          {"target_modules", config.target_regex.empty() ? Json(config.target_modules) : Json(config.target_regex)},
          {"task_type", or_null(!config.task_type.empty(), config.task_type)},
          {"use_dora", false},
          {"use_rslora", config.defaults.rank_stabilized}};
}

Json decisive_part(const Json& config) {
  Json part = Json::object();
  for (const char* key : kDecisive) part[key] = config.value(key, Json());
  return part;
}

bool is_targeted(const PeftConfig& config, const std::string& module) {
  if (!config.target_regex.empty()) return matches(config.target_regex, module, "target_modules");
  return std::any_of(config.target_modules.begin(), config.target_modules.end(), [&](const std::string& name) {
    return module == name || module.ends_with("." + name);
  });
}

}  // namespace lora
