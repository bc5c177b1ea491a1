#include "model/roles.h"

#include <functional>
#include <map>
#include <set>
#include <unordered_map>
#include <unordered_set>

namespace lora {
namespace {

using torch::jit::Node;
using torch::jit::Value;

using SiteOfNode = std::unordered_map<const Node*, std::size_t>;

SiteOfNode index_nodes(const std::vector<LocatedSite>& sites) {
  SiteOfNode index;
  for (std::size_t i = 0; i < sites.size(); ++i) {
    for (const SiteUse& use : sites[i].uses) index[use.node] = i;
  }
  return index;
}

bool is_product(const Node* node) {
  return is_any(node, {"aten::matmul", "aten::bmm", "aten::baddbmm", "aten::einsum"});
}

/// Follows the first input backwards through score arithmetic (scaling, masks, casts) to the product q k^T.
Node* scores_product(Value* scores) {
  std::unordered_set<const Node*> seen;
  std::vector<Value*> open{scores};
  while (!open.empty()) {
    Node* node = open.back()->node();
    open.pop_back();
    if (!seen.insert(node).second || seen.size() > 64) continue;
    if (is_product(node)) return node;
    const bool arithmetic = is_any(
        node, {"aten::add",          "aten::add_",    "aten::sub",   "aten::mul",        "aten::mul_",
               "aten::div",          "aten::div_",    "aten::to",    "aten::type_as",    "aten::masked_fill",
               "aten::masked_fill_", "aten::where",   "aten::view",  "aten::reshape",    "aten::tanh",
               "aten::max",          "aten::maximum", "aten::float", "aten::contiguous", "aten::clamp",
               "aten::cat"});
    if (!arithmetic) continue;
    for (auto input = node->inputs().rbegin(); input != node->inputs().rend(); ++input) {
      if (carries_tensors(*input)) open.push_back(*input);
    }
  }
  return nullptr;
}

/// From the softmax to the product with the values, through dropout, casts and slices of attention sinks.
Node* values_product(Value* weights, int depth = 0) {
  if (depth > 8) return nullptr;
  for (const torch::jit::Use& use : weights->uses()) {
    if (is_product(use.user) && use.offset == 0) return use.user;
    if (use.offset == 0 && is_any(use.user, {"aten::dropout", "aten::to", "aten::type_as", "aten::view",
                                             "aten::reshape", "aten::slice", "aten::mul", "aten::expand",
                                             "aten::contiguous", "aten::nan_to_num", "aten::masked_fill"})) {
      if (Node* found = values_product(use.user->output(), depth + 1)) return found;
    }
  }
  return nullptr;
}

void visit_nodes(torch::jit::Block* block, const std::function<void(Node*)>& visit) {
  for (Node* node : block->nodes()) {
    visit(node);
    for (torch::jit::Block* inner : node->blocks()) visit_nodes(inner, visit);
  }
}

/// Sites reached backwards from a value, not looking past any site or attention.
std::set<std::size_t> sites_behind(Value* value, const SiteOfNode& site_of,
                                   const std::unordered_set<const Node*>& cores) {
  std::set<std::size_t> found;
  std::unordered_set<const Node*> seen;
  std::vector<Value*> open{value};
  while (!open.empty()) {
    Node* node = open.back()->node();
    open.pop_back();
    if (!seen.insert(node).second || cores.count(node)) continue;
    if (const auto site = site_of.find(node); site != site_of.end()) {
      found.insert(site->second);
      continue;
    }
    for (Value* input : node->inputs()) {
      if (carries_tensors(input)) open.push_back(input);
    }
  }
  return found;
}

/// The first sites reached forwards from an attention's output.
std::set<std::size_t> sites_after(Value* value, const SiteOfNode& site_of) {
  std::set<std::size_t> found;
  std::unordered_set<const Node*> seen;
  std::vector<Value*> open{value};
  while (!open.empty()) {
    Value* current = open.back();
    open.pop_back();
    for (const torch::jit::Use& use : current->uses()) {
      if (!seen.insert(use.user).second) continue;
      if (const auto site = site_of.find(use.user); site != site_of.end()) {
        found.insert(site->second);
      } else if (!is_any(use.user,
                         {"aten::add", "aten::add_"})) {  // the residual stream is past the projection
        for (Value* output : use.user->outputs()) {
          if (carries_tensors(output)) open.push_back(output);
        }
      }
    }
  }
  return found;
}

bool is_matrix_site(const Site& site) { return site.kind != SiteKind::embedding; }

}  // namespace

std::vector<AttentionCore> find_attention(const Lowered& lowered) {
  std::vector<AttentionCore> cores;
  visit_nodes(lowered.graph->block(), [&](Node* node) {
    if (is_any(node, {"aten::scaled_dot_product_attention"})) {
      cores.push_back({node, node->input(0), node->input(1), node->input(2)});
    } else if (is_any(node, {"aten::softmax", "aten::_softmax"})) {
      Node* scores = scores_product(node->input(0));
      Node* values = scores ? values_product(node->output()) : nullptr;
      if (!values || scores->kind() == torch::jit::Symbol::fromQualString("aten::einsum")) return;
      const std::size_t first = is_any(scores, {"aten::baddbmm"}) ? 1 : 0;
      cores.push_back({values, scores->input(first), scores->input(first + 1), values->input(1)});
    }
  });
  return cores;
}

SiteUse* find_head(const Lowered& lowered, std::vector<LocatedSite>& sites) {
  const SiteOfNode site_of = index_nodes(sites);
  Node* node = lowered.graph->outputs()[0]->node();
  for (int steps = 0; steps < 32; ++steps) {
    if (const auto found = site_of.find(node); found != site_of.end()) {
      for (SiteUse& use : sites[found->second].uses) {
        if (use.node == node) return use.kind == SiteKind::embedding ? nullptr : &use;
      }
    }
    const bool pointwise =
        is_any(node, {"aten::to", "aten::mul", "aten::div", "aten::add", "aten::tanh", "aten::float",
                      "aten::contiguous", "aten::view", "aten::reshape", "aten::slice", "aten::clone",
                      "aten::detach", "aten::type_as", "aten::_unsafe_view", "aten::index", "aten::select",
                      "aten::squeeze"});
    if (!pointwise || node->inputs().empty()) return nullptr;
    node = node->input(0)->node();
  }
  return nullptr;
}

std::vector<std::size_t> assign_roles(const Lowered& lowered, std::vector<LocatedSite>& sites) {
  const SiteOfNode site_of = index_nodes(sites);
  const std::vector<AttentionCore> cores = find_attention(lowered);
  std::unordered_set<const Node*> core_nodes;
  for (const AttentionCore& core : cores) core_nodes.insert(core.node);

  std::map<std::size_t, std::set<SiteRole>> operands;
  std::set<std::size_t> outputs;
  for (const AttentionCore& core : cores) {
    const std::pair<Value*, SiteRole> sides[] = {
        {core.query, SiteRole::query}, {core.key, SiteRole::key}, {core.value, SiteRole::value}};
    for (const auto& [operand, role] : sides) {
      for (const std::size_t site : sites_behind(operand, site_of, core_nodes)) {
        if (is_matrix_site(sites[site].site)) operands[site].insert(role);
      }
    }
    for (const std::size_t site : sites_after(core.node->output(), site_of)) outputs.insert(site);
  }

  std::vector<std::size_t> fused;
  const SiteUse* head = find_head(lowered, sites);
  for (std::size_t i = 0; i < sites.size(); ++i) {
    Site& site = sites[i].site;
    const auto found = operands.find(i);
    if (site.kind == SiteKind::embedding) {
      site.role = SiteRole::embedding;
    } else if (head && site_of.at(head->node) == i) {
      site.role = SiteRole::head;
    } else if (found != operands.end() && found->second.size() == 1) {
      site.role = *found->second.begin();
    } else if (found != operands.end()) {
      site.role = SiteRole::fused_attention;
      fused.push_back(i);
    } else if (outputs.count(i)) {
      site.role = SiteRole::attention_output;
    } else if (site.layer >= 0) {
      site.role = SiteRole::mlp;
    }
  }
  return fused;
}

}  // namespace lora
