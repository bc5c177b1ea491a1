#include "merge/base_report.h"

#include <algorithm>
#include <cmath>

#include "base/report_text.h"
#include "base/text_table.h"
#include "lora/base/text.h"
#include "merge/heat_map.h"

namespace lora {
namespace {

/// The columns of the table, each a mean over the modules with one pattern.
struct Column {
  const char* title;
  double (*value)(const BaseFacts&);
};
const Column kColumns[] = {
    {"|W|", [](const BaseFacts& facts) { return facts.weight_norm; }},
    {"|dW|", [](const BaseFacts& facts) { return facts.update_norm; }},
    {"|U'WV|", [](const BaseFacts& facts) { return facts.projected_norm; }},
    {"random", [](const BaseFacts& facts) { return facts.random_norm; }},
    {"top of W", [](const BaseFacts& facts) { return facts.own_norm; }},
    {"amplification", [](const BaseFacts& facts) { return facts.amplification; }},
    {"sim out", [](const BaseFacts& facts) { return facts.left_similarity; }},
    {"random", [](const BaseFacts& facts) { return facts.left_random; }},
    {"sim in", [](const BaseFacts& facts) { return facts.right_similarity; }},
    {"random", [](const BaseFacts& facts) { return facts.right_random; }},
};
constexpr std::size_t kColumnCount = std::size(kColumns);

struct PatternRow {
  std::string pattern;
  std::int64_t count = 0, rank = 0;
  double sums[kColumnCount] = {};
};

std::vector<PatternRow> by_pattern(const std::vector<BaseFacts>& facts) {
  std::vector<PatternRow> rows;
  for (const BaseFacts& each : facts) {
    if (each.update_norm == 0) continue;
    const std::string pattern = module_pattern(each.module);
    auto row =
        std::find_if(rows.begin(), rows.end(), [&](const auto& known) { return known.pattern == pattern; });
    if (row == rows.end()) row = rows.insert(rows.end(), PatternRow{pattern});
    ++row->count;
    row->rank = std::max(row->rank, each.rank);
    for (std::size_t i = 0; i < kColumnCount; ++i) row->sums[i] += kColumns[i].value(each);
  }
  return rows;
}

}  // namespace

Json base_json(const std::vector<BaseFacts>& facts) {
  Json modules = Json::array();
  for (const BaseFacts& each : facts) {
    modules.push_back({{"module", each.module},
                       {"rank", each.rank},
                       {"weight_norm", each.weight_norm},
                       {"update_norm", each.update_norm},
                       {"projected_norm", each.projected_norm},
                       {"random_norm", each.random_norm},
                       {"own_norm", each.own_norm},
                       {"amplification", each.amplification},
                       {"output_similarity", each.left_similarity},
                       {"output_random", each.left_random},
                       {"input_similarity", each.right_similarity},
                       {"input_random", each.right_random}});
  }
  return modules;
}

Json intruders_json(const ModuleIntruders& intruders) {
  Json modules = Json::object();
  for (const auto& [module, found] : intruders) {
    modules[module] = Json::array();
    for (const Intruder& each : found) {
      modules[module].push_back(
          {{"index", each.index}, {"singular_value", each.singular_value}, {"closest", each.closest}});
    }
  }
  return modules;
}

std::string base_text(const std::vector<BaseFacts>& facts) {
  std::vector<std::string> header{"module", "count", "r"};
  for (const Column& column : kColumns) header.push_back(column.title);
  TextTable table(header);
  for (const PatternRow& row : by_pattern(facts)) {
    std::vector<std::string> cells{row.pattern, cat(row.count), cat(row.rank)};
    for (const double sum : row.sums) cells.push_back(significant(sum / static_cast<double>(row.count), 3));
    table.add(cells);
  }
  std::vector<HeatValue> amplifications;
  for (const BaseFacts& each : facts) amplifications.push_back({each.module, each.amplification});
  return cat(
      table.str(),
      "means over the modules; U, V: the r leading directions of dW; |U'WV|: how strong W already is there,\n"
      "beside r random directions and W's own leading ones; amplification: |dW| / |U'WV|; sim: similarity "
      "of\n"
      "the r leading directions of dW and of W (0 orthogonal, 1 equal). LoRA paper, section 7\n\n",
      heat_map("amplification", amplifications));
}

std::string intruders_text(const ModuleIntruders& intruders, const IntruderOptions& options) {
  std::vector<HeatValue> counts;
  std::size_t total = 0, modules = 0;
  for (const auto& [module, found] : intruders) {
    counts.push_back({module, static_cast<double>(found.size())});
    total += found.size();
    modules += !found.empty();
  }
  return cat("intruder dimensions: ", total, " in ", modules, " of ", intruders.size(), " modules (of the ",
             options.examined,
             " leading directions of W + dW, those whose |cosine| with every direction of W is below ",
             significant(options.threshold, 3), "; arXiv:2410.21228)\n", heat_map("intruders", counts));
}

}  // namespace lora
