#include "lora/merge/diff.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <iostream>

#include "base/json.h"
#include "base/report_text.h"
#include "base/text_table.h"
#include "lora/base/text.h"
#include "lora/config/check.h"
#include "merge/difference.h"
#include "merge/heat_map.h"

namespace lora {
namespace {

Json grid_json(const at::Tensor& grid) {
  Json rows = Json::array();
  for (std::int64_t i = 0; i < grid.size(0); ++i) {
    Json row = Json::array();
    for (std::int64_t j = 0; j < grid.size(1); ++j) row.push_back(grid[i][j].item<double>());
    rows.push_back(row);
  }
  return rows;
}

Json difference_json(const DiffConfig& config, const AdapterDifference& found) {
  Json modules = Json::array();
  for (const ModuleDifference& each : found.modules) {
    modules.push_back({{"module", each.module},
                       {"ranks", each.ranks},
                       {"norms", each.norms},
                       {"cosine", each.cosine},
                       {"distance", each.distance},
                       {"output_similarity", grid_json(each.left)},
                       {"input_similarity", grid_json(each.right)},
                       {"output_random", each.left_random},
                       {"input_random", each.right_random}});
  }
  return {{"first", config.first},
          {"second", config.second},
          {"settings", found.facts},
          {"modules", modules},
          {"only_first", found.only[0]},
          {"only_second", found.only[1]},
          {"other_tensors", found.whole},
          {"other_only_first", found.whole_only[0]},
          {"other_only_second", found.whole_only[1]}};
}

/// Similarity of the leading direction, or of all.
double leading(const at::Tensor& grid) { return grid.numel() ? grid[0][0].item<double>() : 0; }
double whole_span(const at::Tensor& grid) { return grid.numel() ? grid[-1][-1].item<double>() : 0; }

/// Means over the modules with one pattern.
struct PatternRow {
  std::string pattern;
  std::int64_t count = 0;
  double sums[8] = {};
};

std::vector<PatternRow> by_pattern(const std::vector<ModuleDifference>& modules) {
  std::vector<PatternRow> rows;
  for (const ModuleDifference& each : modules) {
    const std::string pattern = module_pattern(each.module);
    auto row =
        std::find_if(rows.begin(), rows.end(), [&](const auto& known) { return known.pattern == pattern; });
    if (row == rows.end()) row = rows.insert(rows.end(), PatternRow{pattern});
    ++row->count;
    const double values[] = {each.norms[0],          each.norms[1],       each.cosine,
                             leading(each.left),     leading(each.right), whole_span(each.left),
                             whole_span(each.right), each.right_random};
    for (std::size_t i = 0; i < std::size(values); ++i) row->sums[i] += values[i];
  }
  return rows;
}

std::string difference_text(const AdapterDifference& found) {
  TextTable table({"module", "count", "norm 1", "norm 2", "cosine", "top out", "top in", "span out",
                   "span in", "random in"});
  for (const PatternRow& row : by_pattern(found.modules)) {
    std::vector<std::string> cells{row.pattern, cat(row.count)};
    for (const double sum : row.sums) cells.push_back(significant(sum / static_cast<double>(row.count), 3));
    table.add(cells);
  }
  std::string text;
  for (const std::string& fact : found.facts) text += cat("differs: ", printable(fact), "\n");
  if (!found.facts.empty()) text += "\n";
  text += table.str();
  text +=
      "means over the modules; top: squared cosine of the leading directions; span: similarity of all "
      "directions\n"
      "(0 orthogonal, 1 nested; LoRA paper, eq. 4) of outputs and inputs; random: what random spans would "
      "have\n\n";
  std::vector<HeatValue> cosines;
  for (const ModuleDifference& each : found.modules) cosines.push_back({each.module, std::abs(each.cosine)});
  text += heat_map("|cosine|", cosines);
  const char* const names[] = {"first", "second"};
  for (int i : {0, 1}) {
    for (const std::string& module : found.only[i])
      text += cat("only in the ", names[i], ": ", printable(module), "\n");
    for (const std::string& name : found.whole_only[i])
      text += cat("only in the ", names[i], ": ", printable(name), "\n");
  }
  for (const auto& [name, distance] : found.whole) {
    text += cat(printable(name), ": relative distance ", significant(distance, 3), "\n");
  }
  return text;
}

}  // namespace

int diff(const DiffConfig& config) {
  check_config(config);
  const AdapterFolder first = read_adapter_folder(config.first), second = read_adapter_folder(config.second);
  const AdapterDifference found = compare_adapters(first, second);
  std::cout << (config.json ? difference_json(config, found).dump(2) + "\n" : difference_text(found))
            << std::flush;
  return 0;
}

}  // namespace lora
