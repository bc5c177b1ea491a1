#pragma once

#include <string>
#include <vector>

#include "base/json.h"
#include "lora/config/train_config.h"
#include "lora/model/site.h"

namespace lora {

/// A site with the built-in words that choose it, and whether the user's own choice does.
struct ListedSite {
  const Site* site;
  std::vector<std::string> words;   ///< of all-linear, attention, qv, mlp; slices as "qv (query, value)"
  bool chosen = false;
};

std::vector<ListedSite> list_sites(const std::vector<Site>& sites, const TargetChoice& choice);

std::string sites_table(const std::vector<ListedSite>& sites);
Json sites_json(const std::vector<ListedSite>& sites);

/// `lora-train --list-targets`: the model's sites on stdout.
int list_targets(const TrainConfig& config);

}  // namespace lora
