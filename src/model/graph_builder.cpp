#include "model/graph_builder.h"

#include <torch/csrc/jit/passes/dead_code_elimination.h>
#include <torch/csrc/jit/passes/lower_tuples.h>

#include <algorithm>

#include "lora/base/error.h"
#include "lora/base/text.h"
#include "model/boundary.h"
#include "model/hook_op.h"
#include "model/narrow_op.h"
#include "model/rewrites/rewrite.h"
#include "model/roles.h"
#include "model/select_rows.h"

namespace lora {

GraphBuilder::GraphBuilder(const Lowered& lowered, const std::string& prefix) : copy_(lowered) {
  copy_.graph = lowered.graph->copy();
  torch::jit::LowerSimpleTuples(copy_.graph);  // traces hand values from module to module in them
  located_ = locate_sites(copy_, prefix);
  table_ = copy_.graph->addInput("hooks");
  table_->setType(c10::AnyType::get());
}

bool GraphBuilder::select_rows() {
  SiteUse* head = find_head(copy_, located_);
  if (head) select_rows_before(*head);
  return head != nullptr;
}

bool GraphBuilder::keep_body() {
  SiteUse* head = find_head(copy_, located_);
  if (!head) return false;
  select_rows_before(*head);
  copy_.graph->eraseOutput(0);
  copy_.graph->registerOutput(head->input);
  return true;
}

bool GraphBuilder::keep_head() {
  SiteUse* head = find_head(copy_, located_);
  if (!head) return false;
  torch::jit::Value* rows = copy_.graph->addInput("rows");
  rows->setType(c10::TensorType::get());
  head->node->replaceInputWith(head->input, rows);
  head->input = rows;
  return true;
}

torch::jit::Value* GraphBuilder::find_boundary(const std::vector<std::size_t>& order,
                                               const std::set<std::string>& slots) const {
  std::unordered_set<const torch::jit::Node*> trained;
  for (const std::size_t site : order)
    for (const SiteUse& use : located_[site].uses) trained.insert(use.node);
  for (const std::string& slot : slots)
    for (const torch::jit::Use& use : weight_input(slot)->uses()) trained.insert(use.user);
  return lora::find_boundary(*copy_.graph, weight_inputs(), trained);
}

bool GraphBuilder::keep_below(const std::vector<std::size_t>& order, const std::set<std::string>& slots) {
  torch::jit::Value* boundary = find_boundary(order, slots);
  if (!boundary) return false;
  copy_.graph->eraseOutput(0);
  copy_.graph->registerOutput(boundary);
  return true;
}

bool GraphBuilder::keep_above(const std::vector<std::size_t>& order, const std::set<std::string>& slots) {
  torch::jit::Value* boundary = find_boundary(order, slots);
  if (!boundary) return false;
  torch::jit::Value* given = copy_.graph->addInput(std::string(kBoundaryInput));
  given->setType(c10::TensorType::get());
  boundary->replaceAllUsesWith(given);
  return true;
}

void GraphBuilder::narrow() {
  for (LocatedSite& site : located_) {
    if (site.site.kind == SiteKind::embedding) continue;
    torch::jit::Value*& weight = narrow_[site.site.weight];
    if (!weight) weight = insert_narrowed(weight_input(site.site.weight), table_);
    for (SiteUse& use : site.uses) narrow_use(use, weight);
  }
}

void GraphBuilder::multiply_in_weight_type() {
  for (LocatedSite& site : located_) {
    for (SiteUse& use : site.uses)
      use.kind == SiteKind::embedding ? widen_use(use)
                                      : void(narrow_use(use, weight_input(site.site.weight)));
  }
}

void GraphBuilder::hook(const std::vector<HookedSite>& hooks, const std::vector<std::size_t>& order) {
  for (std::size_t i = 0; i < order.size(); ++i) {
    const LocatedSite& site = located_[order[i]];
    const auto narrow = hooks[i].computes_site ? narrow_.find(site.site.weight) : narrow_.end();
    torch::jit::Value* weight = narrow == narrow_.end() ? weight_input(site.site.weight) : narrow->second;
    for (const SiteUse& use : site.uses)
      insert_hook(use, weight, static_cast<std::int64_t>(i), table_, hooks[i].computes_site);
  }
}

std::vector<RewriteCount> GraphBuilder::rewrite(const std::vector<std::string>& names) {
  std::vector<RewriteCount> counts;
  for (const Rewrite& each : all_rewrites()) {
    if (std::find(names.begin(), names.end(), each.name) == names.end()) continue;
    torch::jit::EliminateDeadCode(copy_.graph);  // what the one before left would look like further users
    if (const int places = each.apply(*copy_.graph)) counts.push_back({each.name, places});
  }
  return counts;
}

torch::jit::Code GraphBuilder::compile() {
  torch::jit::EliminateDeadCode(copy_.graph);
  copy_.graph->lint();
  return torch::jit::Code(copy_.graph, "forward");
}

std::unordered_set<const torch::jit::Value*> GraphBuilder::weight_inputs() const {
  std::unordered_set<const torch::jit::Value*> weights = {table_};
  for (std::size_t i = 0; i < copy_.slots.size(); ++i)
    if (copy_.weights[copy_.slots[i].weight].is_parameter)
      weights.insert(copy_.graph->inputs()[copy_.inputs.size() + i]);
  return weights;
}

SegmentedCode GraphBuilder::compile_segments() const {
  if (auto code = SegmentedCode::cut(copy_.graph, weight_inputs())) return *std::move(code);
  throw Error(ExitCode::file,
              "--checkpoint-activations: the model's graph has no place where it could be cut",
              "leave the option out, and lower --batch-tokens if memory is short");
}

torch::jit::Value* GraphBuilder::weight_input(const std::string& slot) const {
  for (std::size_t i = 0; i < copy_.slots.size(); ++i) {
    if (copy_.slots[i].path == slot) return copy_.graph->inputs()[copy_.inputs.size() + i];
  }
  throw Error(ExitCode::internal, cat("no slot \"", slot, "\""));
}

}  // namespace lora
