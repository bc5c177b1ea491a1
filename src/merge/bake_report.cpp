#include "merge/bake_report.h"

#include <algorithm>

#include "base/report_text.h"
#include "base/text_table.h"
#include "lora/base/error.h"
#include "lora/base/text.h"

namespace lora {
namespace {

/// All modules with one pattern.
struct PatternChange {
  std::string pattern;
  std::int64_t count = 0;
  RoundedUpdate sum;
};

std::vector<PatternChange> by_pattern(const BakeReport& report) {
  std::vector<PatternChange> patterns;
  for (const ModuleChange& module : report.modules) {
    const std::string pattern = module_pattern(module.module);
    auto found = std::find_if(patterns.begin(), patterns.end(),
                              [&](const auto& each) { return each.pattern == pattern; });
    if (found == patterns.end()) found = patterns.insert(patterns.end(), {pattern, 0, {}});
    ++found->count;
    found->sum += module.update;
  }
  patterns.push_back({"all", static_cast<std::int64_t>(report.modules.size()), report.total()});
  return patterns;
}

Json change_json(const RoundedUpdate& update) {
  return {{"largest_change", update.largest_change},
          {"swallowed_share", update.swallowed_share()},
          {"norm_lost", update.norm_lost()}};
}

std::string changes_table(const BakeReport& report) {
  TextTable table({"merged module", "count", "largest change", "swallowed", "norm lost"});
  for (const PatternChange& each : by_pattern(report)) {
    table.add({each.pattern, cat(each.count), significant(each.sum.largest_change, 3),
               fixed(each.sum.swallowed_share() * 100, 1) + " %", significant(each.sum.norm_lost(), 2)});
  }
  return table.str() +
         "largest change of one weight; share of the updated weights that rounding left as they were; share "
         "of\n"
         "the update's norm that was lost by rounding\n\n";
}

}  // namespace

void BakeReport::add(const MergedWeight& merged) {
  RoundedUpdate update = merged.update;
  update.value = at::Tensor();
  modules.push_back({merged.module, merged.path, update});
  dtype = merged.update.value.dtype().name();
  tolerance =
      std::max({tolerance, merge_tolerance(at::kFloat), merge_tolerance(merged.update.value.scalar_type())});
}

RoundedUpdate BakeReport::total() const {
  RoundedUpdate sum;
  for (const ModuleChange& module : modules) sum += module.update;
  return sum;
}

Json bake_json(const BakeConfig& config, const AdapterSources& adapters, const BakeReport& report) {
  Json modules = Json::array(), sources = Json::array();
  for (const ModuleChange& each : report.modules) {
    Json module = change_json(each.update);
    module["module"] = each.module;
    module["weight"] = each.weight;
    modules.push_back(module);
  }
  for (std::size_t i = 0; i < adapters.folders().size(); ++i) {
    const AdapterFolder& folder = adapters.folders()[i];
    sources.push_back(
        {{"adapter", folder.path.string()}, {"sha256", folder.sha256}, {"factor", adapters.weight(i)}});
  }
  return {{"model", config.model.path},
          {"adapters", sources},
          {"out", config.out},
          {"base_fingerprint", report.base_fingerprint},
          {"dtype", report.dtype},
          {"modules", modules},
          {"total", change_json(report.total())},
          {"replaced", report.replaced},
          {"untouched", report.untouched},
          {"verified",
           {{"rows", report.probe_rows},
            {"tokens", report.probe_tokens},
            {"largest_difference", report.difference.largest},
            {"relative_difference", report.difference.relative},
            {"tolerance", report.tolerance}}},
          {"bytes", report.bytes},
          {"undo_bytes", report.undo_bytes},
          {"seconds", report.seconds}};
}

std::string bake_text(const BakeConfig& config, const BakeReport& report) {
  std::string text = cat("merged ", printable(join(config.adapters, " ")), " into ", printable(config.out),
                         ": ", report.modules.size(), " weights (", report.dtype, "), ",
                         human_bytes(report.bytes), ", ", human_seconds(report.seconds), "\n\n");
  if (!report.modules.empty()) text += changes_table(report);
  if (!report.replaced.empty())
    text += cat("replaced whole: ", printable(join(report.replaced, ", ")), "\n\n");
  if (!report.untouched.empty())
    text += cat("copied, unknown to the model: ", printable(join(report.untouched, ", ")), "\n\n");
  if (report.undo_bytes > 0)
    text += cat("undo: ", printable(config.undo), ", ", human_bytes(report.undo_bytes), "\n\n");
  return text + cat("verified: the written weights' logits differ from the adapter's by at most ",
                    significant(report.difference.largest, 3), " (",
                    significant(report.difference.relative, 3), " of the largest logit; tolerance ",
                    significant(report.tolerance, 3), ") on ", report.probe_tokens, " tokens in ",
                    report.probe_rows, " rows\n");
}

void refuse_difference(const BakeReport& report) {
  if (report.difference.relative <= report.tolerance) return;  // false for NaN, too
  throw Error(ExitCode::mismatch,
              cat("the merged model's logits differ from the adapter's by ", report.difference.largest, ", ",
                  report.difference.relative, " of the largest logit; the tolerance for ", report.dtype,
                  " is ", report.tolerance),
              "nothing was written; the model uses an adapted weight where the adapter does not act, or its "
              "number type is too coarse: use the adapter unmerged");
}

}  // namespace lora
