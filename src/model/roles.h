#pragma once

#include <vector>

#include "model/lowering.h"
#include "model/sites.h"

namespace lora {

/// Fills in Site::role: query, key and value are the sites whose outputs become those operands of an
/// attention (a scaled_dot_product_attention node, or softmax between two products); attention_output is the
/// first site after one; head is the site that makes the logits; other sites inside numbered layers are mlp.
/// Returns the indices of fused projections: sites that become more than one operand.
std::vector<std::size_t> assign_roles(const Lowered& lowered, std::vector<LocatedSite>& sites);

/// The use that makes the logits, found from the graph's output through pointwise operations; null if none.
SiteUse* find_head(const Lowered& lowered, std::vector<LocatedSite>& sites);

/// The three operands of one attention.
struct AttentionCore {
  torch::jit::Node* node;  ///< whose output is the attended values
  torch::jit::Value *query, *key, *value;
};
std::vector<AttentionCore> find_attention(const Lowered& lowered);

}  // namespace lora
