#include "merge/fit_report.h"

#include <algorithm>
#include <cmath>

#include "base/report_text.h"
#include "base/text_table.h"
#include "lora/base/text.h"

namespace lora {
namespace {

using Fits = std::vector<ModuleFit>;

std::vector<std::pair<std::string, Fits>> by_pattern(const Fits& fits) {
  std::vector<std::pair<std::string, Fits>> groups;
  for (const ModuleFit& fit : fits) {
    const std::string pattern = module_pattern(fit.module);
    auto found =
        std::find_if(groups.begin(), groups.end(), [&](const auto& group) { return group.first == pattern; });
    if (found == groups.end()) found = groups.insert(groups.end(), {pattern, {}});
    found->second.push_back(fit);
  }
  return groups;
}

std::string ranks_text(const Fits& fits) {
  const auto [low, high] = std::minmax_element(fits.begin(), fits.end(),
                                               [](const auto& a, const auto& b) { return a.rank < b.rank; });
  return low->rank == high->rank ? cat(low->rank) : cat(low->rank, "-", high->rank);
}

double worst_error(const Fits& fits) {
  double worst = 0;
  for (const ModuleFit& fit : fits) worst = std::max(worst, fit.error());
  return worst;
}

}  // namespace

double total_error(const Fits& fits) {
  double norm = 0, lost = 0;
  for (const ModuleFit& fit : fits) {
    norm += fit.norm * fit.norm;
    lost += fit.lost * fit.lost;
  }
  return norm > 0 ? std::sqrt(lost / norm) : 0;
}

Json fits_json(const Fits& fits) {
  Json modules = Json::array();
  for (const ModuleFit& fit : fits) {
    modules.push_back({{"module", fit.module},
                       {"rank", fit.rank},
                       {"update_norm", fit.norm},
                       {"relative_error", fit.error()}});
  }
  return modules;
}

std::string fits_text(const Fits& fits) {
  TextTable table({"module", "count", "rank", "relative error", "worst"});
  const auto add = [&](const std::string& name, const Fits& group) {
    table.add({printable(name), cat(group.size()), ranks_text(group), significant(total_error(group), 3),
               significant(worst_error(group), 3)});
  };
  for (const auto& [pattern, group] : by_pattern(fits)) add(pattern, group);
  if (!fits.empty()) add("all", fits);
  return table.str();
}

}  // namespace lora
