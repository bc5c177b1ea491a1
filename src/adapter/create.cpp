#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>

#include <algorithm>
#include <limits>
#include <map>
#include <set>

#include "adapter/initial_factors.h"
#include "adapter/saved_modules.h"
#include "lora/adapter/adapter.h"
#include "lora/base/error.h"
#include "lora/base/text.h"

namespace lora {
namespace {

void check_ranks(const std::vector<ConfiguredTarget>& targets) {
  std::vector<std::string> small;
  std::set<std::string> names;
  std::int64_t largest = std::numeric_limits<std::int64_t>::max();
  for (const auto& [target, config] : targets) {
    if (config.rank < 1) throw Error(ExitCode::usage, cat("rank ", config.rank, " must be at least 1"));
    const std::int64_t most = std::min(target.in(), target.out());
    if (config.rank <= most) continue;
    largest = std::min(largest, most);
    names.insert(target.site->path.substr(target.site->path.rfind('.') + 1));
    small.push_back(cat("  rank ", config.rank, ": ", target.name(), " has ", target.in(), " inputs and ",
                        target.out(), " outputs"));
  }
  if (small.empty()) return;
  throw Error(
      ExitCode::usage,
      cat("the rank is larger than ", small.size(), " of ", targets.size(), " targets\n", join(small, "\n")),
      cat("use --rank ", largest, " or less, or leave them out: --exclude ", join(names, " ")));
}

/// Two sites of one tensor: merging would have to add both updates to it.
void refuse_adapting_twice(const Program& program, const std::vector<Target>& targets) {
  std::map<const Weight*, const Site*> seen;
  for (const Target& target : targets) {
    const auto [entry, fresh] = seen.emplace(&program.weight(target.site->weight), target.site);
    if (fresh || entry->second == target.site) continue;
    throw Error(ExitCode::mismatch,
                cat("\"", entry->second->path, "\" and \"", target.site->path,
                    "\" are one tied weight and cannot both be adapted"),
                cat("leave one out: --exclude ", target.site->path));
  }
}

bool share_outputs(const Target& a, const Target& b) {
  return a.site == b.site && (!a.slice || !b.slice || a.slice == b.slice);
}

void refuse_overlap(const std::vector<Target>& targets) {
  for (std::size_t i = 0; i < targets.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      if (!share_outputs(targets[i], targets[j])) continue;
      throw Error(ExitCode::usage,
                  cat("\"", targets[j].name(), "\" and \"", targets[i].name(),
                      "\" share outputs, whose updates do not add up with this method"),
                  cat("leave one out: --exclude ", targets[i].name()));
    }
  }
}

void refuse_targets_inside(const Program& program, const std::vector<Target>& targets,
                           const std::vector<const Weight*>& saved) {
  for (const Target& target : targets) {
    if (std::find(saved.begin(), saved.end(), &program.weight(target.site->weight)) == saved.end()) continue;
    throw Error(
        ExitCode::mismatch,
        cat("\"", target.name(), "\" is a target and inside modules_to_save: it would be trained twice"),
        cat("leave it out: --exclude ", target.site->path));
  }
}

AdaptedTarget fresh_target(const Program& program, const ConfiguredTarget& each, at::Generator& generator) {
  const auto& [target, config] = each;
  const at::Tensor& weight = program.weight(target.site->weight).value;
  AdaptedTarget adapted{target, config, find_method(config.method).create(target, config, weight, generator)};
  if (config.init != "default") {
    for (auto& [leaf, factor] : initial_factors(target, config, weight, generator)) {
      if (starts_off_base(config.init)) adapted.origin[leaf] = factor.to(program.device()).clone();
      adapted.tensors.at(leaf) = factor;
    }
  }
  for (auto& [leaf, tensor] : adapted.tensors) tensor = tensor.to(program.device());
  return adapted;
}

}  // namespace

Adapter create_adapter(const Program& program, const std::vector<ConfiguredTarget>& configured,
                       const std::vector<std::string>& modules_to_save, std::uint64_t seed) {
  const auto saved = weights_to_save(program, modules_to_save);
  std::vector<Target> targets, exclusive;
  for (const auto& [target, config] : configured) {
    targets.push_back(target);
    if (!find_method(config.method).is_additive()) exclusive.push_back(target);
  }
  check_ranks(configured);
  refuse_adapting_twice(program, targets);
  if (!exclusive.empty()) refuse_overlap(targets);
  refuse_targets_inside(program, targets, saved);
  at::Generator generator = at::detail::createCPUGenerator(seed);
  Adapter adapter;
  for (const ConfiguredTarget& each : configured)
    adapter.targets.push_back(fresh_target(program, each, generator));
  for (const Weight* weight : saved) adapter.saved_weights[weight->path] = weight->value.detach().clone();
  return adapter;
}

Adapter create_adapter(const Program& program, const std::vector<Target>& targets, const MethodConfig& config,
                       const std::vector<std::string>& modules_to_save, std::uint64_t seed) {
  std::vector<ConfiguredTarget> configured;
  for (const Target& target : targets) configured.push_back({target, config});
  return create_adapter(program, configured, modules_to_save, seed);
}

}  // namespace lora
