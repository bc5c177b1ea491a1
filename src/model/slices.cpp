#include "model/slices.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <map>
#include <set>
#include <unordered_map>
#include <unordered_set>

#include "lora/base/log.h"
#include "model/archive.h"
#include "model/roles.h"

namespace lora {
namespace {

using torch::jit::Node;
using torch::jit::Value;

using FeatureNumbers = std::unordered_map<const Value*, c10::IValue>;

/// Nodes that only move elements: run on feature numbers they tell where each feature goes.
bool moves_elements(const Node* node) {
  return is_any(node, {"aten::view",    "aten::reshape",      "aten::_unsafe_view", "aten::transpose",
                       "aten::permute", "aten::contiguous",   "aten::split",        "aten::split_with_sizes",
                       "aten::chunk",   "aten::tensor_split", "aten::slice",        "aten::select",
                       "aten::narrow",  "aten::unbind",       "aten::unsqueeze",    "aten::squeeze",
                       "aten::flatten", "aten::unflatten",    "aten::movedim",      "aten::t",
                       "aten::clone",   "aten::detach",       "aten::alias",        "aten::index",
                       "aten::expand",  "aten::__getitem__",  "prim::ListUnpack",   "prim::TupleUnpack"});
}

/// Nodes that change values but leave every element in its place.
bool keeps_places(const Node* node) {
  return is_any(node, {"aten::to", "aten::type_as", "aten::clamp", "aten::clamp_", "aten::dropout"});
}

class FeatureTracker {
 public:
  FeatureTracker(const RecordedValues& recorded) : recorded_(recorded) {}

  /// Feature numbers of every value that is made of the projection's output by moving alone.
  FeatureNumbers run(const Node* projection) {
    const at::Tensor output = recorded_.at(projection->output()).toTensor();
    numbers_[projection->output()] = at::arange(output.size(-1)).expand(output.sizes()).clone();
    for (const Node* node = projection->next(); node->kind() != c10::prim::Return; node = node->next())
      advance(node);
    return std::move(numbers_);
  }

 private:
  void advance(const Node* node) {
    const bool touched = std::any_of(node->inputs().begin(), node->inputs().end(),
                                     [&](const Value* input) { return numbers_.count(input) > 0; });
    if (!touched) return;
    if (keeps_places(node)) {
      if (numbers_.count(node->input(0))) numbers_[node->output()] = numbers_.at(node->input(0));
      return;
    }
    if (!moves_elements(node)) return;
    std::vector<c10::IValue> arguments;
    for (const Value* input : node->inputs()) {
      const auto numbered = numbers_.find(input);
      arguments.push_back(numbered != numbers_.end() ? numbered->second : recorded_.at(input));
    }
    const auto outputs = run_node(node, std::move(arguments));
    for (std::size_t i = 0; i < outputs.size(); ++i) numbers_[node->outputs()[i]] = outputs[i];
  }

  const RecordedValues& recorded_;
  FeatureNumbers numbers_;
};

/// The features behind an attention operand: those of the first numbered values met on the way back.
std::set<std::int64_t> features_behind(const Value* operand, const FeatureNumbers& numbers,
                                       const std::unordered_set<const Node*>& stops) {
  std::set<std::int64_t> features;
  std::unordered_set<const Value*> seen;
  std::vector<const Value*> open{operand};
  while (!open.empty()) {
    const Value* value = open.back();
    open.pop_back();
    if (!seen.insert(value).second) continue;
    const auto found = numbers.find(value);
    if (found != numbers.end() && found->second.isTensor()) {
      const at::Tensor unique = std::get<0>(at::_unique(found->second.toTensor().flatten()));
      features.insert(unique.const_data_ptr<std::int64_t>(),
                      unique.const_data_ptr<std::int64_t>() + unique.numel());
      continue;
    }
    if (stops.count(value->node())) continue;
    for (const Value* input : value->node()->inputs()) {
      if (carries_tensors(input)) open.push_back(input);
    }
  }
  return features;
}

using Parts = std::map<SiteRole, std::set<std::int64_t>>;

/// Features of one fused projection by the operand that they become; empty if they cannot be followed.
Parts attention_parts(const Node* projection, const RecordedValues& recorded,
                      const std::vector<AttentionCore>& cores, const std::unordered_set<const Node*>& stops) {
  Parts parts;
  try {
    const FeatureNumbers numbers = FeatureTracker(recorded).run(projection);
    for (const AttentionCore& core : cores) {
      parts[SiteRole::query].merge(features_behind(core.query, numbers, stops));
      parts[SiteRole::key].merge(features_behind(core.key, numbers, stops));
      parts[SiteRole::value].merge(features_behind(core.value, numbers, stops));
    }
  } catch (const std::exception& error) {
    log_debug("model", "no parts of a fused projection: ", short_torch_message(error.what()));
    return {};
  }
  return parts;
}

bool disjoint(const Parts& parts) {
  std::set<std::int64_t> all;
  std::size_t total = 0;
  for (const auto& [role, features] : parts) {
    all.insert(features.begin(), features.end());
    total += features.size();
  }
  return all.size() == total;
}

}  // namespace

void find_slices(const Lowered& lowered, const RecordedValues& recorded,
                 const std::vector<std::size_t>& fused, std::vector<LocatedSite>& sites) {
  if (fused.empty() || recorded.empty()) return;
  const std::vector<AttentionCore> cores = find_attention(lowered);
  std::unordered_set<const Node*> stops;
  for (const AttentionCore& core : cores) stops.insert(core.node);
  for (const LocatedSite& located : sites) {
    for (const SiteUse& use : located.uses) stops.insert(use.node);
  }
  for (const std::size_t index : fused) {
    const auto parts = attention_parts(sites[index].uses.front().node, recorded, cores, stops);
    if (!disjoint(parts)) continue;
    for (const auto& [role, features] : parts) {
      if (!features.empty()) sites[index].site.slices.push_back({role, {features.begin(), features.end()}});
    }
  }
}

}  // namespace lora
