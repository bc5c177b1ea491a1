#pragma once

#include <vector>

#include "lora/model/site.h"
#include "model/lowering.h"
#include "model/uses.h"

namespace lora {

/// A site and the nodes behind it.
struct LocatedSite {
  Site site;
  std::vector<SiteUse> uses;
};

/// Finds every use of every floating two-dimensional weight, in graph order. `prefix` is removed from the
/// front of module paths. Roles and slices are not filled in yet (see roles.h).
std::vector<LocatedSite> locate_sites(const Lowered& lowered, const std::string& prefix);

/// Parameters with two or more dimensions that are at no site (stacked expert weights, convolutions).
std::vector<std::string> weights_without_site(const Lowered& lowered, const std::vector<LocatedSite>& sites);

/// The wrapper that other people's files put around the model ("model" in model.model.layers): a lone child
/// of an unknown class whose own class is a transformers head model. Empty if none.
std::string guess_wrapper_prefix(const torch::jit::Module& module);

}  // namespace lora
