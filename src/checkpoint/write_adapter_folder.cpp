#include <ATen/ATen.h>

#include <algorithm>
#include <cctype>
#include <map>
#include <set>

#include "adapter/saved_modules.h"
#include "base/json.h"
#include "checkpoint/adapter_metadata.h"
#include "checkpoint/content_hash.h"
#include "checkpoint/peft_config.h"
#include "checkpoint/peft_keys.h"
#include "checkpoint/peft_modules.h"
#include "lora/base/files.h"
#include "lora/base/text.h"
#include "lora/checkpoint/safetensors.h"

namespace lora {
namespace {

std::string last_segment(const std::string& path) { return path.substr(path.rfind('.') + 1); }

bool is_number(const std::string& text) {
  return std::all_of(text.begin(), text.end(), [](unsigned char c) { return std::isdigit(c); });
}

/// The topmost modules all of whose parameters are saved: "classifier", not "classifier.dense" and
/// "classifier.out_proj".
std::vector<std::string> saved_modules(const Program& program, const Adapter& adapter) {
  const auto is_saved_whole = [&](const std::string& module) {
    return std::all_of(program.weights().begin(), program.weights().end(), [&](const Weight& weight) {
      return !weight.is_parameter || !plain_path(program, weight.path).starts_with(module + ".") ||
             adapter.saved_weights.count(weight.path);
    });
  };
  std::set<std::string> modules;
  for (const auto& [path, value] : adapter.saved_weights) {
    const std::string plain = plain_path(program, path);
    auto dot = plain.find('.');
    while (dot != std::string::npos && !is_saved_whole(plain.substr(0, dot))) dot = plain.find('.', dot + 1);
    modules.insert(plain.substr(0, dot));
  }
  return {modules.begin(), modules.end()};
}

/// Last segments of the modules' paths if they choose these modules among the program's sites and no other;
/// whole paths otherwise.
std::vector<std::string> target_modules(const Program& program, const std::vector<PeftModule>& modules) {
  std::set<std::string> paths;
  PeftConfig by_name;
  std::set<std::string> names;
  for (const PeftModule& module : modules) {
    paths.insert(module.site->path);
    names.insert(last_segment(module.site->path));
  }
  by_name.target_modules = {names.begin(), names.end()};
  const bool exact = std::all_of(program.sites().begin(), program.sites().end(), [&](const Site& site) {
    return is_targeted(by_name, site.path) == (paths.count(site.path) > 0);
  });
  const bool telling = std::none_of(names.begin(), names.end(), is_number);
  return exact && telling ? by_name.target_modules : std::vector<std::string>(paths.begin(), paths.end());
}

/// The most frequent rank and alpha, to be the default.
MethodConfig usual_config(const std::vector<PeftModule>& modules) {
  std::map<std::pair<std::int64_t, double>, int> count;
  MethodConfig usual;
  int most = 0;
  for (const PeftModule& module : modules) {
    const int seen = ++count[{module.config.rank, module.config.alpha}];
    if (seen <= most) continue;
    most = seen;
    usual = module.config;
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

PeftConfig config_of(const Program& program, const Adapter& adapter, const std::vector<PeftModule>& modules) {
  PeftConfig config;
  config.defaults = usual_config(modules);
  config.task_type = program.info().task == Task::classification ? "SEQ_CLS" : "CAUSAL_LM";
  config.target_modules = target_modules(program, modules);
  config.modules_to_save = saved_modules(program, adapter);
  for (const PeftModule& module : modules) {
    config.fan_in_fan_out |= module.site->kind == SiteKind::conv1d;
    if (module.config.rank != config.defaults.rank) {
      add_pattern(config.rank_pattern, module.site->path, module.config.rank);
    }
    if (module.config.alpha != config.defaults.alpha) {
      add_pattern(config.alpha_pattern, module.site->path, module.config.alpha);
    }
  }
  for (const PeftModule& module : modules) {
    const MethodConfig read = config.of(module.site->path);
    if (read.rank == module.config.rank && read.alpha == module.config.alpha) continue;
    // Its path ends like another's: say what is the default, too.
    add_pattern(config.rank_pattern, module.site->path, module.config.rank);
    add_pattern(config.alpha_pattern, module.site->path, module.config.alpha);
  }
  return config;
}

TensorMap peft_tensors(const Program& program, const Adapter& adapter,
                       const std::vector<PeftModule>& modules) {
  TensorMap tensors;
  for (const PeftModule& module : modules) {
    for (const auto& [leaf, tensor] : module.tensors) tensors[factor_key(module.site->path, leaf)] = tensor;
  }
  for (const auto& [path, tensor] : adapter.saved_weights)
    tensors[whole_key(plain_path(program, path))] = tensor;
  return tensors;
}

/// Model card with the front matter by which model hubs find the library and the base.
std::string card_text(const std::string& base_name, const std::string& text) {
  return cat("---\nbase_model: ", Json(base_name).dump(), "\nlibrary_name: peft\ntags:\n- lora\n---\n\n",
             text, "\n");
}

}  // namespace

void write_adapter_folder(const std::filesystem::path& folder, const Program& program, const Adapter& adapter,
                          const AdapterProvenance& provenance, const std::string& card) {
  const std::vector<PeftModule> modules = peft_modules(adapter);
  const std::string base_name = printable(provenance.base_name);  // may come from a file's name
  const Json config = peft_config_json(config_of(program, adapter, modules), base_name);
  Blocks blocks;
  for (const PeftModule& module : modules) {
    if (!module.blocks.empty()) blocks[module.site->path] = module.blocks;
  }
  SafetensorsFile file{peft_tensors(program, adapter, modules), adapter_metadata(provenance, config, blocks)};
  file.metadata[kContentHashKey] = content_hash(file);
  ensure_writable_folder(folder);
  write_file_atomically(folder / kConfigFile, config.dump(2) + "\n");
  write_file_atomically(folder / kCardFile, card_text(base_name, card));
  write_file_atomically(folder / kTensorFile, serialize_safetensors(file));
}

}  // namespace lora
