#include "train/list_targets.h"

#include <algorithm>
#include <iostream>

#include "base/text_table.h"
#include "lora/base/error.h"
#include "lora/base/text.h"
#include "lora/model/program.h"

namespace lora {
namespace {

constexpr const char* kWords[] = {"all-linear", "attention", "qv", "mlp"};

/// Targets of one built-in word; none where a model has no such site.
std::vector<Target> targets_of(const std::vector<Site>& sites, const std::string& word) {
  try {
    return resolve_targets(sites, {{word}, {}, ""});
  } catch (const Error&) {
    return {};
  }
}

/// Empty if no target lies at `site`; "qv" for the whole site, "qv (query, value)" for slices of it.
std::string label(const std::string& word, const std::vector<Target>& targets, const Site& site) {
  std::vector<std::string> slices;
  for (const Target& target : targets) {
    if (target.site != &site) continue;
    if (!target.slice) return word;
    slices.push_back(to_string(target.slice->role));
  }
  return slices.empty() ? "" : cat(word, " (", join(slices, ", "), ")");
}

std::vector<std::string> slice_names(const Site& site) {
  std::vector<std::string> names;
  for (const SiteSlice& slice : site.slices) names.push_back(to_string(slice.role));
  return names;
}

}  // namespace

std::vector<ListedSite> list_sites(const std::vector<Site>& sites, const TargetChoice& choice) {
  std::vector<ListedSite> listed;
  for (const Site& site : sites) listed.push_back({&site, {}, false});
  for (const char* word : kWords) {
    const auto targets = targets_of(sites, word);
    for (ListedSite& each : listed) {
      if (const std::string text = label(word, targets, *each.site); !text.empty()) each.words.push_back(text);
    }
  }
  for (const Target& target : resolve_targets(sites, choice)) {
    listed[static_cast<std::size_t>(target.site - sites.data())].chosen = true;
  }
  return listed;
}

std::string sites_table(const std::vector<ListedSite>& sites) {
  TextTable table({"site", "kind", "role", "in", "out", "uses", "layer", "slices", "chosen by", "here"},
                  {1, 2, 7, 8, 9});
  for (const ListedSite& each : sites) {
    const Site& site = *each.site;
    table.add({site.path + (site.tied ? " (tied)" : ""), to_string(site.kind), to_string(site.role), cat(site.in),
               cat(site.out), cat(site.uses), site.layer < 0 ? "-" : cat(site.layer), join(slice_names(site), " "),
               join(each.words, ", "), each.chosen ? "yes" : ""});
  }
  return table.str();
}

Json sites_json(const std::vector<ListedSite>& sites) {
  Json list = Json::array();
  for (const ListedSite& each : sites) {
    const Site& site = *each.site;
    list.push_back({{"path", site.path},
                    {"weight", site.weight},
                    {"kind", to_string(site.kind)},
                    {"role", to_string(site.role)},
                    {"in", site.in},
                    {"out", site.out},
                    {"uses", site.uses},
                    {"layer", site.layer},
                    {"tied", site.tied},
                    {"slices", slice_names(site)},
                    {"chosen_by", each.words},
                    {"chosen", each.chosen}});
  }
  return list;
}

int list_targets(const TrainConfig& config) {
  const Program program = Program::load(config.model.path);
  const auto listed = list_sites(program.sites(), {config.targets, config.exclude, config.layers});
  if (config.json) {
    std::cout << sites_json(listed).dump(2) << "\n";
    return 0;
  }
  const auto chosen = std::count_if(listed.begin(), listed.end(), [](const auto& each) { return each.chosen; });
  std::cout << sites_table(listed) << "\n"
            << listed.size() << " sites; --targets " << join(config.targets, " ") << " chooses " << chosen << "\n";
  const auto& unsited = program.weights_without_site();
  if (!unsited.empty()) std::cout << unsited.size() << " weights stay frozen: " << join(unsited, ", ") << "\n";
  return 0;
}

}  // namespace lora
