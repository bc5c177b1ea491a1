#include "train/compared_methods.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <set>

#include "adapter/saved_modules.h"
#include "lora/base/error.h"
#include "lora/base/text.h"

namespace lora {
namespace {

constexpr const char* kMethods[] = {"bottleneck", "bitfit", "layernorm", "head"};

bool is_site_weight(const Program& program, const Weight& weight) {
  return std::any_of(program.sites().begin(), program.sites().end(), [&](const Site& site) {
    return &program.weight(site.weight) == &weight || site.bias == weight.path;
  });
}

/// "model.layers.3" of "model.layers.3.mlp.up_proj"; empty if no segment is a number.
std::string layer_module(const std::string& path) {
  std::string module;
  for (const std::string& segment : split(path, '.')) {
    module += (module.empty() ? "" : ".") + segment;
    if (segment.find_first_not_of("0123456789") == std::string::npos) return module;
  }
  return "";
}

}  // namespace

bool takes_targets(const std::string& method) {
  return std::none_of(std::begin(kMethods), std::end(kMethods),
                      [&](const char* each) { return method == each; });
}

std::vector<Target> branch_ends(const Program& program, const std::string& placement,
                                const std::string& layers) {
  std::vector<Target> ends;
  const std::int64_t width = program.info().hidden_size;
  for (const Target& target : resolve_targets(program.sites(), {{"all-linear"}, {}, layers})) {
    const Site& site = *target.site;
    const bool mlp = site.role == SiteRole::mlp && site.out == width && site.in != width;
    if (mlp || (site.role == SiteRole::attention_output && placement == "houlsby")) ends.push_back(target);
  }
  if (!ends.empty()) return ends;
  throw Error(ExitCode::usage,
              "--method bottleneck: the graph shows no projection at the end of an attention or MLP branch",
              "lora-train --list-targets shows what it has; use --method lora with --targets");
}

std::vector<std::string> top_modules(const Program& program, const std::string& layers) {
  std::set<std::string> modules(program.info().head_modules.begin(), program.info().head_modules.end());
  if (!layers.empty()) {
    for (const Target& target : resolve_targets(program.sites(), {{"all-linear"}, {}, layers})) {
      if (const std::string module = layer_module(target.site->path); !module.empty()) modules.insert(module);
    }
  }
  if (!modules.empty()) return {modules.begin(), modules.end()};
  throw Error(ExitCode::usage,
              "--method head: the model has no classification head, and no layers are chosen",
              "give --layers last:2, say");
}

void add_norms(const Program& program, Adapter& adapter) {
  bool any = false;
  for (const Weight& weight : program.weights()) {
    const bool is_vector = weight.is_parameter && weight.value.is_floating_point() && weight.value.dim() == 1;
    if (!is_vector || is_site_weight(program, weight)) continue;
    any = true;
    if (adapter.saved_weights.count(weight.path)) continue;
    refuse_tied(program, weight);
    adapter.saved_weights[weight.path] = weight.value.detach().clone();
  }
  if (!any) {
    throw Error(ExitCode::usage, "--method layernorm: the model has no weights of norms",
                "use --method lora, or --method bitfit if it has biases");
  }
}

void refuse_foreign_options(const TrainConfig& config) {
  if (takes_targets(config.method)) return;
  const TrainConfig usual;
  std::vector<std::string> foreign;
  const auto note = [&](bool is_set, const char* option) {
    if (is_set) foreign.emplace_back(option);
  };
  note(config.targets != usual.targets, "--targets");
  note(!config.exclude.empty(), "--exclude");
  note(config.bias != usual.bias, "--bias");
  note(!config.trainable_tokens.empty(), "--trainable-tokens");
  note(config.rank_stabilised, "--rank-stabilised");
  note(!config.rank_pattern.empty(), "--rank-pattern");
  note(!config.alpha_pattern.empty(), "--alpha-pattern");
  note(config.init != usual.init, "--init");
  note(config.freeze_a, "--freeze-a");
  note(config.lora_plus_ratio != usual.lora_plus_ratio, "--lora-plus-ratio");
  note(!config.layers.empty() && (config.method == "bitfit" || config.method == "layernorm"), "--layers");
  if (foreign.empty()) return;
  throw Error(ExitCode::usage, cat(join(foreign, ", "), " have no meaning with --method ", config.method),
              "leave them out");
}

}  // namespace lora
