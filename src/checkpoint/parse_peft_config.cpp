#include <map>
#include <set>

#include "checkpoint/peft_config.h"
#include "lora/base/text.h"

namespace lora {
namespace {

/// Keys that say nothing about what the tensors compute: descriptions, and how training started.
const std::set<std::string> kIgnored = {
    "auto_mapping",   "base_model_name_or_path", "eva_config",   "inference_mode",    "init_weights",
    "layers_pattern", "megatron_core",           "peft_version", "qalora_group_size", "revision"};
const std::set<std::string> kHandled = {"alpha_pattern",
                                        "exclude_modules",
                                        "fan_in_fan_out",
                                        "init_lora_weights",
                                        "layers_to_transform",
                                        "bias",
                                        "lora_alpha",
                                        "lora_dropout",
                                        "modules_to_save",
                                        "peft_type",
                                        "r",
                                        "rank_pattern",
                                        "target_modules",
                                        "task_type",
                                        "token_indices",
                                        "trainable_token_indices",
                                        "use_dora",
                                        "use_rslora"};
/// Initial values whose base model stays as it was. Others (pissa, olora, corda, loftq ...) change the base's
/// weights.
const std::set<std::string> kHarmlessStarts = {"gaussian", "eva", "orthogonal", "mica"};
/// Features that are refused, with what this project's adapters lack for them.
const std::map<std::string, std::string> kReasons = {
    {"alora_invocation_tokens", "acts only behind an invocation token: no update of a weight"},
    {"arrow_config", "routes between adapters token by token: no update of a weight"},
    {"ensure_weight_tying", "one adapter for several tied modules"},
    {"layer_replication", "the base with layers repeated is another model"},
    {"lora_bias", "a bias of the update has no place in a base without biases"},
    {"megatron_config", "for layers of Megatron"},
    {"monteclora_config", "draws its update at random"},
    {"target_parameters", "adapts parameters of more than two dimensions (stacked experts)"},
    {"use_bdlora", "block-diagonal factors"},
    {"use_qalora", "factors over pooled inputs"}};
bool is_off(const Json& value) {
  return value.is_null() || value == false || value == "none" || (value.is_structured() && value.empty());
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
    config.defaults.rank_stabilised = flag("use_rslora");
    if (flag("use_dora")) config.defaults.method = "dora";
    if (*find("peft_type") == kBottleneck) config.defaults.method = "bottleneck";
    config.fan_in_fan_out = flag("fan_in_fan_out");
    config.narrowed = find("exclude_modules") || find("layers_to_transform");
    if (const Json* task = find("task_type")) config.task_type = json_string(*task, "task_type", origin_);
    config.tokens_alone = *find("peft_type") == kTokensAlone;
    if (config.tokens_alone) {
      config.token_indices.emplace_back("", ids(json_at(json_, "token_indices", origin_), "token_indices"));
      return config;
    }
    read_targets(config);
    read_bias(config);
    read_token_indices(config);
    if (const Json* modules = find("modules_to_save"))
      config.modules_to_save = texts(*modules, "modules_to_save");
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
    if (type != "LORA" && type != kTokensAlone && type != kBottleneck)
      features.push_back(cat("peft_type ", type));
    const Json* start = find("init_lora_weights");
    if (start && start->is_string() && !kHarmlessStarts.count(start->get<std::string>())) {
      features.push_back(
          cat("init_lora_weights ", start->get<std::string>(), " (changes the base's weights)"));
    }
    for (const auto& [key, value] : json_.items()) {
      if (kIgnored.count(key) || kHandled.count(key) || is_off(value)) continue;
      const auto reason = kReasons.find(key);
      features.push_back(reason == kReasons.end() ? key : cat(key, " (", reason->second, ")"));
    }
    if (features.empty()) return;
    throw Error(
        origin_.code,
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

  void read_bias(PeftConfig& config) const {
    const Json* bias = find("bias");
    if (!bias) return;
    config.bias = json_string(*bias, "bias", origin_);
    if (config.bias == "none" || config.bias == "all" || config.bias == "lora_only") return;
    throw Error(origin_.code, cat(origin_.place, ": \"bias\" is \"", printable(config.bias),
                                  "\", known are none, all and lora_only"));
  }

  /// A list for the input embedding, or an object of lists by module.
  void read_token_indices(PeftConfig& config) const {
    constexpr const char* kKey = "trainable_token_indices";
    const Json* indices = find(kKey);
    if (!indices) return;
    if (indices->is_object()) {
      for (const auto& [module, list] : indices->items())
        config.token_indices.emplace_back(module, ids(list, kKey));
    } else {
      config.token_indices.emplace_back("", ids(*indices, kKey));
    }
  }

  std::vector<std::int64_t> ids(const Json& value, const char* key) const {
    if (!value.is_array())
      throw Error(origin_.code, cat(origin_.place, ": \"", key, "\" must be an array of whole numbers"));
    std::vector<std::int64_t> all;
    for (const Json& item : value) all.push_back(json_int(item, key, origin_));
    return all;
  }

  std::vector<std::string> texts(const Json& value, const char* key) const {
    if (!value.is_array())
      throw Error(origin_.code, cat(origin_.place, ": \"", key, "\" must be an array of strings"));
    std::vector<std::string> all;
    for (const Json& item : value) all.push_back(json_string(item, key, origin_));
    return all;
  }

  template <class Take>
  void each_pattern(const char* key, Take take) const {
    const Json* patterns = find(key);
    if (!patterns) return;
    if (!patterns->is_object())
      throw Error(origin_.code, cat(origin_.place, ": \"", key, "\" must be an object"));
    for (const auto& [pattern, value] : patterns->items()) take(pattern, value);
  }

  bool flag(const char* key) const {
    const Json* value = find(key);
    return value && json_bool(*value, key, origin_);
  }

  std::int64_t rank(const Json& value, const std::string& key) const {
    const std::int64_t rank = json_int(value, key, origin_);
    if (rank < 1)
      throw Error(origin_.code, cat(origin_.place, ": rank \"", printable(key), "\" is ", rank, ", below 1"));
    return rank;
  }

  double alpha(const Json& value, const std::string& key) const { return json_number(value, key, origin_); }

  const Json& json_;
  const JsonOrigin& origin_;
};

}  // namespace

PeftConfig parse_peft_config(const Json& json, const JsonOrigin& origin) {
  return ConfigReader(json, origin).read();
}

}  // namespace lora
