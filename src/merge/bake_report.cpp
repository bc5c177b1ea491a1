#include "merge/bake_report.h"

#include <algorithm>

#include "base/text_table.h"
#include "base/report_text.h"
#include "lora/base/text.h"

namespace lora {
namespace {

/// Modules with one pattern, each number the worst of them.
struct PatternChange {
  std::string pattern;
  std::int64_t count = 0;
  ModuleChange worst;
};

std::vector<PatternChange> by_pattern(const std::vector<ModuleChange>& modules) {
  std::vector<PatternChange> patterns;
  for (const ModuleChange& module : modules) {
    const std::string pattern = module_pattern(module.module);
    auto found = std::find_if(patterns.begin(), patterns.end(),
                              [&](const auto& each) { return each.pattern == pattern; });
    if (found == patterns.end()) found = patterns.insert(patterns.end(), {pattern, 0, {}});
    ++found->count;
    found->worst.largest_change = std::max(found->worst.largest_change, module.largest_change);
    found->worst.swallowed_share = std::max(found->worst.swallowed_share, module.swallowed_share);
    found->worst.norm_lost = std::max(found->worst.norm_lost, module.norm_lost);
  }
  return patterns;
}

}  // namespace

Json bake_json(const BakeReport& report) {
  Json modules = Json::array();
  for (const ModuleChange& module : report.modules) {
    modules.push_back({{"module", module.module},
                       {"weight", module.weight},
                       {"largest_change", module.largest_change},
                       {"swallowed_share", module.swallowed_share},
                       {"norm_lost", module.norm_lost}});
  }
  return {{"model", report.model},
          {"adapter", report.adapter},
          {"out", report.out},
          {"base_fingerprint", report.base_fingerprint},
          {"adapter_sha256", report.adapter_sha256},
          {"dtype", report.dtype},
          {"modules", modules},
          {"replaced", report.replaced},
          {"verified",
           {{"rows", report.probe_rows},
            {"tokens", report.probe_tokens},
            {"largest_difference", report.difference.largest},
            {"relative_difference", report.difference.relative},
            {"tolerance", report.tolerance}}},
          {"bytes", report.bytes},
          {"seconds", report.seconds}};
}

std::string bake_text(const BakeReport& report) {
  TextTable table({"merged module", "count", "largest change", "swallowed", "norm lost"});
  for (const PatternChange& each : by_pattern(report.modules)) {
    table.add({each.pattern, cat(each.count), significant(each.worst.largest_change, 3),
               fixed(each.worst.swallowed_share * 100, 1) + " %", significant(each.worst.norm_lost, 2)});
  }
  std::string text =
      cat("merged ", report.adapter, " into ", report.out, ": ", report.modules.size(), " weights (",
          report.dtype, "), ", human_bytes(report.bytes), ", ", human_seconds(report.seconds), "\n\n");
  if (!report.modules.empty()) {
    text += table.str();
    text +=
        "the worst of each row: change of one weight; share of the updated weights that rounding left as "
        "they\n"
        "were; share of the update's norm that was lost by rounding\n\n";
  }
  if (!report.replaced.empty())
    text += cat("replaced whole: ", printable(join(report.replaced, ", ")), "\n\n");
  return text + cat("verified: the written file's logits differ from the adapter's by at most ",
                    significant(report.difference.largest, 3), " (",
                    significant(report.difference.relative, 3), " of the largest logit; tolerance ",
                    significant(report.tolerance, 3), ") on ", report.probe_tokens, " tokens in ",
                    report.probe_rows, " rows\n");
}

}  // namespace lora
