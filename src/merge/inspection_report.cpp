#include "merge/inspection_report.h"

#include <algorithm>

#include "base/report_text.h"
#include "base/text_table.h"
#include "lora/base/text.h"
#include "merge/heat_map.h"

namespace lora {
namespace {

/// Modules with one pattern, rank, alpha and shape.
struct ModuleGroup {
  std::string pattern;
  ModuleFacts first;
  std::int64_t count = 0, parameters = 0;
  double smallest_norm = 0, largest_norm = 0;
  double effective_rank = 0;  ///< sum over the modules
};

bool belong_together(const ModuleFacts& a, const ModuleFacts& b) {
  return a.rank == b.rank && a.alpha == b.alpha && a.in == b.in && a.out == b.out && a.slices == b.slices;
}

std::vector<ModuleGroup> group(const std::vector<ModuleFacts>& modules) {
  std::vector<ModuleGroup> groups;
  for (const ModuleFacts& facts : modules) {
    const std::string pattern = module_pattern(facts.module);
    auto found = std::find_if(groups.begin(), groups.end(), [&](const ModuleGroup& each) {
      return each.pattern == pattern && belong_together(each.first, facts);
    });
    if (found == groups.end()) {
      found = groups.insert(groups.end(), {pattern, facts, 0, 0, facts.update_norm, facts.update_norm});
    }
    ++found->count;
    found->parameters += facts.parameters;
    found->smallest_norm = std::min(found->smallest_norm, facts.update_norm);
    found->largest_norm = std::max(found->largest_norm, facts.update_norm);
    found->effective_rank += facts.effective_rank;
  }
  return groups;
}

std::string or_unknown(const std::string& text) { return text.empty() ? "unknown" : text; }

/// One fact a line, names in a column of their own.
std::string fact_line(const std::string& name, const std::string& value) {
  constexpr std::size_t kColumn = 13;
  return printable(cat(name, std::string(name.size() < kColumn ? kColumn - name.size() : 1, ' '), value)) +
         "\n";
}

std::string facts_text(const Inspection& found) {
  const AdapterFolder& folder = found.folder;
  const AdapterProvenance& provenance = folder.provenance;
  const MethodConfig& method = folder.config.defaults;
  const bool ours = !provenance.base_fingerprint.empty();
  std::string text = fact_line("adapter", folder.path.string());
  text += fact_line("method", method.method + (method.rank_stabilised ? ", rank-stabilised scale" : ""));
  text += fact_line("task", or_unknown(folder.config.task_type));
  text += fact_line("base", or_unknown(provenance.base_name));
  text += fact_line("fingerprint", or_unknown(provenance.base_fingerprint));
  text += fact_line("tokenizer", or_unknown(provenance.tokenizer_hash));
  if (!provenance.labels.empty()) text += fact_line("classes", join(provenance.labels, ", "));
  text += fact_line("parameters", cat(found.parameters, " in ", folder.tensors.size(), " tensors"));
  text += fact_line("file", cat(human_bytes(folder.bytes), ", sha256 ", folder.sha256));
  text += fact_line(
      "content", ours ? "agrees with its recorded hash" : "has no recorded hash (written by another tool)");
  for (const auto& [name, value] : provenance.facts) text += fact_line(name, value);
  return text;
}

std::string modules_table(const Inspection& found) {
  TextTable table({"module", "count", "rank", "alpha", "in", "out", "parameters", "update norm",
                   "effective rank", "slices"},
                  {9});
  for (const ModuleGroup& each : group(found.modules)) {
    const std::string smallest = significant(each.smallest_norm, 3),
                      largest = significant(each.largest_norm, 3);
    table.add({each.pattern, cat(each.count), cat(each.first.rank), significant(each.first.alpha, 6),
               cat(each.first.in), cat(each.first.out), cat(each.parameters),
               smallest == largest ? largest : cat(smallest, " - ", largest),
               significant(each.effective_rank / static_cast<double>(each.count), 3),
               join(each.first.slices, " ")});
  }
  return table.str();
}

std::string norm_map(const Inspection& found) {
  std::vector<HeatValue> norms;
  for (const ModuleFacts& facts : found.modules) norms.push_back({facts.module, facts.update_norm});
  return heat_map("update norm", norms);
}

}  // namespace

Json inspection_json(const Inspection& found) {
  const AdapterFolder& folder = found.folder;
  Json modules = Json::array(), whole = Json::array();
  for (const ModuleFacts& facts : found.modules) {
    modules.push_back({{"module", facts.module},
                       {"rank", facts.rank},
                       {"alpha", facts.alpha},
                       {"scale", facts.scale},
                       {"in", facts.in},
                       {"out", facts.out},
                       {"slices", facts.slices},
                       {"parameters", facts.parameters},
                       {"update_norm", facts.update_norm},
                       {"effective_rank", facts.effective_rank}});
  }
  for (const auto& [path, shape] : found.whole) whole.push_back({{"parameter", path}, {"shape", shape}});
  return {{"adapter", folder.path.string()},
          {"method", folder.config.defaults.method},
          {"rank_stabilised", folder.config.defaults.rank_stabilised},
          {"task_type", folder.config.task_type},
          {"base", folder.provenance.base_name},
          {"base_fingerprint", folder.provenance.base_fingerprint},
          {"tokenizer_hash", folder.provenance.tokenizer_hash},
          {"labels", folder.provenance.labels},
          {"facts", folder.provenance.facts},
          {"parameters", found.parameters},
          {"bytes", folder.bytes},
          {"sha256", folder.sha256},
          {"modules", modules},
          {"trained_whole", whole},
          {"not_finite", found.not_finite},
          {"without_update", found.without_update}};
}

std::string inspection_text(const Inspection& found) {
  std::string text = facts_text(found) + "\n";
  if (!found.modules.empty())
    text += modules_table(found) +
            "update norm: |scale B A|, Frobenius; effective rank: exp of the entropy of its singular values, "
            "mean\n\n" +
            norm_map(found);
  for (const auto& [path, shape] : found.whole) {
    text += cat("trained whole: ", printable(path), " [", join(shape, ", "), "]\n");
  }
  if (!found.not_finite.empty()) {
    text += cat("damaged: NaN or Inf in ", printable(join(found.not_finite, ", ")), "\n");
  }
  if (!found.without_update.empty()) {
    text += cat("untrained: the update is zero in ", found.without_update.size(), " of ",
                found.modules.size(), " modules\n");
  }
  return text;
}

}  // namespace lora
