#include "train/target_configs.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "lora/base/error.h"
#include "lora/base/path_pattern.h"
#include "lora/base/text.h"

namespace lora {
namespace {

/// One entry of --rank-pattern or --alpha-pattern.
struct PatternEntry {
  std::string pattern;
  PathPattern at_end;
  double value;
  bool used = false;
};

/// NAME=VALUE, split at the last equals sign: expressions may hold one.
PatternEntry parse_entry(const std::string& text, const std::string& option, bool whole) {
  const std::size_t equals = text.rfind('=');
  if (equals != std::string::npos && equals > 0) {
    double value = 0;
    const char *begin = text.data() + equals + 1, *end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(begin, end, value);
    const bool valid = error == std::errc() && stop == end && value > 0 && std::isfinite(value);
    if (valid && (!whole || value == std::floor(value))) {
      const std::string pattern = text.substr(0, equals);
      return {pattern, PathPattern::at_end(pattern, option, ExitCode::usage), value};
    }
  }
  throw Error(
      ExitCode::usage, cat(option, " \"", printable(text), "\" is not NAME=", whole ? "RANK" : "ALPHA"),
      cat("give the end of a module path: ", option, " ", whole ? "q_proj=4 mlp.up_proj=32" : "q_proj=8"));
}

class Patterns {
 public:
  Patterns(const std::vector<std::string>& entries, std::string option, bool whole)
      : option_(std::move(option)) {
    for (const std::string& text : entries) entries_.push_back(parse_entry(text, option_, whole));
  }

  /// The first entry that matches; the path without a slice's name.
  const double* find(const Target& target) {
    for (PatternEntry& entry : entries_) {
      if (!entry.at_end.matches(target.site->path)) continue;
      entry.used = true;
      return &entry.value;
    }
    return nullptr;
  }

  void refuse_unused(const std::vector<Target>& targets) const {
    for (const PatternEntry& entry : entries_) {
      if (entry.used) continue;
      std::vector<std::string> names;
      for (const Target& target : targets)
        names.push_back(target.site->path.substr(target.site->path.rfind('.') + 1));
      const auto nearest = nearest_names(entry.pattern, names, 1);
      throw Error(
          ExitCode::usage,
          cat(option_, " \"", printable(entry.pattern), "\" matches no target, or an earlier entry has all",
              nearest.empty() ? "" : cat("; nearest: ", nearest.front())),
          "lora-train --model M.pt --list-targets shows the modules");
    }
  }

 private:
  std::vector<PatternEntry> entries_;
  std::string option_;
};

}  // namespace

std::vector<ConfiguredTarget> configured_targets(const std::vector<Target>& targets,
                                                 const TrainConfig& config) {
  MethodConfig usual{config.method, config.rank, config.alpha, config.dropout};
  usual.rank_stabilised = config.rank_stabilised;
  usual.init = config.init;
  usual.freeze_a = config.freeze_a;
  Patterns ranks(config.rank_pattern, "--rank-pattern", true),
      alphas(config.alpha_pattern, "--alpha-pattern", false);
  std::vector<ConfiguredTarget> configured;
  for (const Target& target : targets) {
    configured.push_back({target, usual});
    MethodConfig& own = configured.back().config;
    if (const double* rank = ranks.find(target)) own.rank = static_cast<std::int64_t>(*rank);
    if (const double* alpha = alphas.find(target)) own.alpha = *alpha;
  }
  ranks.refuse_unused(targets);
  alphas.refuse_unused(targets);
  return configured;
}

std::string variant_name(const TrainConfig& config) {
  std::string name = config.method;
  if (config.method == "bottleneck") return cat(name, ", ", config.placement);
  if (config.method == "head" && !config.layers.empty()) return cat(name, " and layers ", config.layers);
  if (config.method != "lora" && config.method != "dora") return name;
  if (config.rank_stabilised) name += ", rank-stabilised";
  if (config.init != "default") name += ", init " + config.init;
  if (config.freeze_a) name += ", frozen A";
  if (config.lora_plus_ratio != 1) name += cat(", rate of B times ", config.lora_plus_ratio);
  return name;
}

}  // namespace lora
