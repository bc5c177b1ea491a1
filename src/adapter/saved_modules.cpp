#include "adapter/saved_modules.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <set>

#include "lora/base/error.h"
#include "lora/base/text.h"

namespace lora {
namespace {

bool is_trainable(const Weight& weight) { return weight.is_parameter && weight.value.is_floating_point(); }

/// Every module path above a parameter, and its last segment: what a user may have meant.
std::vector<std::string> module_names(const Program& program) {
  std::set<std::string> names;
  for (const Weight& weight : program.weights()) {
    if (!is_trainable(weight)) continue;
    const std::string path = plain_path(program, weight.path);
    for (auto dot = path.find('.'); dot != std::string::npos; dot = path.find('.', dot + 1)) {
      const std::string module = path.substr(0, dot);
      names.insert({module, module.substr(module.rfind('.') + 1)});
    }
  }
  return {names.begin(), names.end()};
}

[[noreturn]] void fail_unmatched(const Program& program, const std::vector<std::string>& unmatched) {
  std::vector<std::string> lines;
  for (const std::string& name : unmatched) {
    const auto nearest = nearest_names(name, module_names(program));
    lines.push_back(nearest.empty() ? name : cat(name, " (nearest: ", join(nearest, ", "), ")"));
  }
  throw Error(ExitCode::usage, cat("modules_to_save: no module with parameters matches ", join(lines, ", ")),
              "lora-train --model M.pt --list-targets shows the model's modules");
}

}  // namespace

std::string plain_path(const Program& program, const std::string& path) {
  const std::string prefix = program.info().key_prefix + ".";
  return prefix.size() > 1 && path.starts_with(prefix) ? path.substr(prefix.size()) : path;
}

bool is_inside_module(const std::string& weight, const std::string& module) {
  return weight.starts_with(module + ".") || weight.find("." + module + ".") != std::string::npos;
}

std::vector<const Weight*> weights_to_save(const Program& program, const std::vector<std::string>& modules) {
  std::vector<const Weight*> chosen;
  std::set<std::string> unmatched(modules.begin(), modules.end());
  for (const Weight& weight : program.weights()) {
    if (!is_trainable(weight)) continue;
    const std::string path = plain_path(program, weight.path);
    bool inside = false;
    for (const std::string& module : modules) {
      if (!is_inside_module(path, module)) continue;
      unmatched.erase(module);
      inside = true;
    }
    if (inside) chosen.push_back(&weight);
  }
  if (!unmatched.empty()) fail_unmatched(program, {unmatched.begin(), unmatched.end()});
  for (const Weight* weight : chosen) refuse_tied(program, *weight);
  return chosen;
}

void refuse_tied(const Program& program, const Weight& weight) {
  const bool shared = std::any_of(program.sites().begin(), program.sites().end(), [&](const Site& site) {
    return site.tied && &program.weight(site.weight) == &weight;
  });
  if (!shared && weight.aliases.empty()) return;
  throw Error(
      ExitCode::mismatch,
      cat("\"", weight.path, "\" is tied: the model uses one tensor in several places, and a whole copy ",
          "would replace them all"),
      "adapt it with low-rank targets instead, or export the model with untied weights");
}

}  // namespace lora
