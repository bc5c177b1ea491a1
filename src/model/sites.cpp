#include "model/sites.h"

#include <algorithm>
#include <cctype>
#include <map>
#include <set>
#include <tuple>

#include "lora/base/text.h"

namespace lora {
namespace {

using torch::jit::Value;

std::string without_prefix(const std::string& path, const std::string& prefix) {
  if (prefix.empty() || !path.starts_with(prefix + ".")) return path;
  return path.substr(prefix.size() + 1);
}

std::string module_of(const std::string& weight_path) {
  const auto dot = weight_path.rfind('.');
  return dot == std::string::npos ? weight_path : weight_path.substr(0, dot);
}

int first_number(const std::string& path) {
  for (const std::string& segment : split(path, '.')) {
    const bool number =
        !segment.empty() && segment.size() < 6 &&
        std::all_of(segment.begin(), segment.end(), [](unsigned char c) { return std::isdigit(c); });
    if (number) return std::stoi(segment);
  }
  return -1;
}

/// Place of a node in its graph, for ordering.
bool earlier(const LocatedSite& a, const LocatedSite& b) {
  const auto* first = a.uses.front().node;
  const auto* second = b.uses.front().node;
  return first != second && first->owningBlock() == second->owningBlock() && first->isBefore(second);
}

Site describe(const std::string& slot_path, const at::Tensor& value, SiteKind kind,
              const std::string& prefix) {
  Site site;
  site.weight = slot_path;
  site.path = without_prefix(module_of(slot_path), prefix);
  site.kind = kind;
  site.in = kind == SiteKind::linear ? value.size(1) : value.size(0);
  site.out = kind == SiteKind::linear ? value.size(0) : value.size(1);
  site.layer = first_number(site.path);
  return site;
}

class Locator {
 public:
  Locator(const Lowered& lowered, const std::string& prefix) : lowered_(lowered), prefix_(prefix) {
    for (std::size_t i = 0; i < lowered.slots.size(); ++i) {
      slot_paths_[lowered.graph->inputs()[lowered.inputs.size() + i]] = lowered.slots[i].path;
    }
  }

  std::vector<LocatedSite> run() {
    for (std::size_t i = 0; i < lowered_.slots.size(); ++i) locate(i);
    mark_ties();
    std::stable_sort(sites_.begin(), sites_.end(), earlier);
    return std::move(sites_);
  }

 private:
  void locate(std::size_t index) {
    const WeightSlot& slot = lowered_.slots[index];
    const Weight& weight = lowered_.weights[slot.weight];
    if (weight.value.dim() != 2 || !at::isFloatingType(weight.value.scalar_type())) return;
    std::map<SiteKind, std::vector<SiteUse>> by_kind;
    for (const SiteUse& use : find_uses(lowered_.graph->inputs()[lowered_.inputs.size() + index])) {
      if (use.kind == SiteKind::embedding && !weight.is_parameter) continue;  // position tables
      by_kind[use.kind].push_back(use);
    }
    for (auto& [kind, uses] : by_kind) {
      Site site = describe(slot.path, weight.value, kind, prefix_);
      site.uses = static_cast<int>(uses.size());
      site.own_slot = by_kind.size() == 1;
      if (uses.front().bias) site.bias = bias_path(uses.front().bias);
      weights_.push_back(slot.weight);
      sites_.push_back({std::move(site), std::move(uses)});
    }
  }

  std::string bias_path(Value* bias) const {
    const auto found = slot_paths_.find(bias);
    return found == slot_paths_.end() ? std::string() : found->second;
  }

  void mark_ties() {
    std::map<std::size_t, int> count;
    for (const std::size_t weight : weights_) ++count[weight];
    for (std::size_t i = 0; i < sites_.size(); ++i) sites_[i].site.tied = count[weights_[i]] > 1;
  }

  const Lowered& lowered_;
  const std::string& prefix_;
  std::map<Value*, std::string> slot_paths_;
  std::vector<LocatedSite> sites_;
  std::vector<std::size_t> weights_;  ///< weight number of each site
};

/// "LlamaForCausalLM" of
/// "__torch__.transformers.models.llama.modeling_llama.___torch_mangle_3.LlamaForCausalLM".
std::string class_name(const torch::jit::Module& module) {
  const auto name = module.type()->name();
  return name ? name->name() : std::string();
}

bool is_head_model(const torch::jit::Module& module) {
  const std::string name = class_name(module);
  return name.find("For") != std::string::npos || name.find("LMHead") != std::string::npos;
}

}  // namespace

std::vector<LocatedSite> locate_sites(const Lowered& lowered, const std::string& prefix) {
  return Locator(lowered, prefix).run();
}

std::vector<std::string> weights_without_site(const Lowered& lowered, const std::vector<LocatedSite>& sites) {
  std::set<std::string> at_sites;
  for (const LocatedSite& located : sites) at_sites.insert(located.site.weight);
  std::vector<std::string> left;
  for (const WeightSlot& slot : lowered.slots) {
    const Weight& weight = lowered.weights[slot.weight];
    if (weight.is_parameter && weight.value.dim() >= 2 && !at_sites.count(slot.path))
      left.push_back(slot.path);
  }
  return left;
}

std::string guess_wrapper_prefix(const torch::jit::Module& module) {
  if (is_head_model(module)) return {};
  std::string only;
  for (const auto& child : module.named_children()) {
    if (child.value.named_parameters().size() == 0) continue;
    if (!only.empty()) return {};
    only = child.name;
  }
  if (only.empty()) return {};
  const torch::jit::Module child = module.attr(only).toModule();
  return is_head_model(child) ? only : std::string();
}

}  // namespace lora
