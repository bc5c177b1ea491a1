#include <ATen/ATen.h>

#include <algorithm>
#include <cctype>
#include <set>

#include "adapter/saved_modules.h"
#include "checkpoint/peft_config.h"
#include "checkpoint/peft_keys.h"
#include "checkpoint/peft_modules.h"
#include "lora/checkpoint/adapter_folder.h"
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
    const bool bias = dot == std::string::npos && adapter.bias != "none" && plain.ends_with(".bias");
    if (!bias) modules.insert(plain.substr(0, dot));
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

PeftConfig config_of(const Program& program, const Adapter& adapter, const std::vector<PeftModule>& modules) {
  PeftConfig config;
  std::vector<std::pair<std::string, MethodConfig>> described;
  for (const PeftModule& module : modules) {
    described.emplace_back(module.site->path, module.config);
    config.fan_in_fan_out |= module.site->kind == SiteKind::conv1d;
  }
  describe_modules(config, described);
  config.task_type = has_text_head(program.info().task) ? "SEQ_CLS" : "CAUSAL_LM";
  config.target_modules = target_modules(program, modules);
  config.modules_to_save = saved_modules(program, adapter);
  config.bias = adapter.bias;
  for (const TokenRows& rows : adapter.token_rows) config.token_indices.emplace_back(rows.module, rows.ids);
  config.tokens_alone = modules.empty() && adapter.saved_weights.empty() && adapter.token_rows.size() == 1;
  return config;
}

TensorMap peft_tensors(const Program& program, const Adapter& adapter, const std::vector<PeftModule>& modules,
                       bool alone) {
  TensorMap tensors;
  for (const PeftModule& module : modules) {
    for (const auto& [leaf, tensor] : module.tensors) tensors[factor_key(module.site->path, leaf)] = tensor;
  }
  for (const auto& [path, tensor] : adapter.saved_weights) {
    const std::string plain = plain_path(program, path);
    const std::string module = plain.substr(0, plain.rfind('.'));
    const bool adapted =
        plain.ends_with(".bias") && std::any_of(modules.begin(), modules.end(),
                                                [&](const auto& each) { return each.site->path == module; });
    tensors[adapted ? adapted_bias_key(module) : whole_key(plain)] = tensor;
  }
  for (const TokenRows& rows : adapter.token_rows) {
    tensors[token_rows_key(rows.module, alone)] = rows.values;
    // There, PEFT also has a key for each module that is tied to the embedding.
    if (!alone) continue;
    for (const std::string& path : rows.paths) {
      const std::string plain = plain_path(program, path);
      tensors[token_rows_key(plain.substr(0, plain.rfind('.')), alone)] = rows.values;
    }
  }
  return tensors;
}

}  // namespace

AdapterFolder pack_adapter(const Program& program, const Adapter& trained, AdapterProvenance provenance) {
  Adapter adapter = trained;
  for (AdaptedTarget& adapted : adapter.targets) adapted = adapted.plain();
  const std::vector<PeftModule> modules = peft_modules(program, adapter);
  AdapterFolder folder;
  folder.config = config_of(program, adapter, modules);
  folder.provenance = std::move(provenance);
  folder.tensors = peft_tensors(program, adapter, modules, folder.config.tokens_alone);
  for (const PeftModule& module : modules) {
    if (!module.blocks.empty()) folder.blocks[module.site->path] = module.blocks;
  }
  return folder;
}

}  // namespace lora
