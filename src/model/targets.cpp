#include <algorithm>
#include <functional>
#include <set>

#include "lora/base/error.h"
#include "lora/base/path_pattern.h"
#include "lora/base/text.h"
#include "lora/model/site.h"

namespace lora {
namespace {

constexpr std::pair<SiteRole, const char*> kRoles[] = {{SiteRole::query, "query"},
                                                       {SiteRole::key, "key"},
                                                       {SiteRole::value, "value"},
                                                       {SiteRole::fused_attention, "qkv"},
                                                       {SiteRole::attention_output, "output"},
                                                       {SiteRole::mlp, "mlp"},
                                                       {SiteRole::embedding, "embedding"},
                                                       {SiteRole::head, "head"},
                                                       {SiteRole::other, "other"}};

using Matcher = std::function<bool(const Target&)>;

bool is_attention(SiteRole role) {
  return role == SiteRole::query || role == SiteRole::key || role == SiteRole::value ||
         role == SiteRole::fused_attention || role == SiteRole::attention_output;
}

bool is_matrix(const Site& site) { return site.kind != SiteKind::embedding && site.role != SiteRole::head; }

SiteRole role_of(const Target& target) { return target.slice ? target.slice->role : target.site->role; }

bool is_query_or_value(const Target& target) {
  const SiteRole role = role_of(target);
  return (role == SiteRole::query || role == SiteRole::value) && is_matrix(*target.site);
}

/// "a.b.c" ends in "b.c" at a segment border, or equals it.
bool has_suffix(const std::string& path, const std::string& suffix) {
  return path == suffix || path.ends_with("." + suffix);
}

Matcher regex_matcher(const std::string& pattern) {
  const PathPattern expression(pattern.substr(1, pattern.size() - 2), "target", ExitCode::usage);
  return [expression](const Target& target) { return expression.matches(target.name()); };
}

/// What one pattern means, see TargetChoice.
Matcher matcher(const std::string& pattern) {
  if (pattern.size() > 2 && pattern.front() == '/' && pattern.back() == '/') return regex_matcher(pattern);
  if (pattern == "all-linear") return [](const Target& t) { return !t.slice && is_matrix(*t.site); };
  if (pattern == "attention") {
    return [](const Target& t) { return !t.slice && is_matrix(*t.site) && is_attention(t.site->role); };
  }
  if (pattern == "mlp") return [](const Target& t) { return !t.slice && t.site->role == SiteRole::mlp; };
  if (pattern == "qv") return is_query_or_value;
  if (const auto colon = pattern.rfind(':'); colon != std::string::npos) {
    const std::string module = pattern.substr(0, colon), part = pattern.substr(colon + 1);
    return [module, part](const Target& t) {
      return t.slice && has_suffix(t.site->path, module) &&
             std::string(to_string(t.slice->role)).starts_with(part);
    };
  }
  return [pattern](const Target& t) { return !t.slice && has_suffix(t.site->path, pattern); };
}

/// Parses "0-5,8", "first:4", "last:8" against `layers` numbered layers.
std::set<int> parse_layers(const std::string& text, int layers) {
  const auto bad = [&](const std::string& why) {
    return Error(ExitCode::usage, cat("--layers ", text, ": ", why), "write 0-5,8 or first:4 or last:8");
  };
  const auto number = [&](std::string_view digits) {
    if (digits.empty() || digits.size() > 5 ||
        !std::all_of(digits.begin(), digits.end(), [](unsigned char c) { return std::isdigit(c); })) {
      throw bad(cat("\"", digits, "\" is no layer number"));
    }
    return std::stoi(std::string(digits));
  };
  int first = 0, last = layers - 1;
  if (text.starts_with("first:")) {
    last = std::min(number(text.substr(6)), layers) - 1;
  } else if (text.starts_with("last:")) {
    first = std::max(0, layers - number(text.substr(5)));
  } else {
    std::set<int> chosen;
    for (const std::string& part : split(text, ',')) {
      const auto dash = part.find('-');
      const int from = number(trim(part.substr(0, dash)));
      const int to = dash == std::string::npos ? from : number(trim(part.substr(dash + 1)));
      if (to >= layers || from > to) throw bad(cat("the model has layers 0-", layers - 1));
      for (int layer = from; layer <= to; ++layer) chosen.insert(layer);
    }
    return chosen;
  }
  std::set<int> chosen;
  for (int layer = first; layer <= last; ++layer) chosen.insert(layer);
  if (chosen.empty()) throw bad("no layer is left");
  return chosen;
}

std::vector<Target> all_candidates(const std::vector<Site>& sites) {
  std::vector<Target> candidates;
  for (const Site& site : sites) {
    candidates.push_back({&site, nullptr});
    for (const SiteSlice& slice : site.slices) candidates.push_back({&site, &slice});
  }
  return candidates;
}

std::vector<std::string> candidate_names(const std::vector<Target>& candidates) {
  std::set<std::string> names{"all-linear", "attention", "qv", "mlp"};
  for (const Target& target : candidates) {
    const std::string name = target.name();
    names.insert(name);
    names.insert(name.substr(name.rfind('.') + 1));
  }
  return {names.begin(), names.end()};
}

std::vector<Target> matching(const std::vector<Target>& candidates, const std::string& pattern) {
  const Matcher matches = matcher(pattern);
  std::vector<Target> found;
  std::copy_if(candidates.begin(), candidates.end(), std::back_inserter(found), matches);
  return found;
}

bool same(const Target& a, const Target& b) { return a.site == b.site && a.slice == b.slice; }

bool contains(const std::vector<Target>& targets, const Target& target) {
  return std::any_of(targets.begin(), targets.end(),
                     [&](const Target& other) { return same(other, target); });
}

/// Excluding a module excludes its slices too.
bool is_excluded(const std::vector<Target>& excluded, const Target& target) {
  return contains(excluded, target) || contains(excluded, {target.site, nullptr});
}

void report_unmatched(const std::vector<std::string>& unmatched, const std::vector<Target>& candidates) {
  if (unmatched.empty()) return;
  std::string message = cat("no site matches ", join(unmatched, ", "));
  std::set<std::string> hints;
  for (const std::string& pattern : unmatched) {
    for (const std::string& name : nearest_names(pattern, candidate_names(candidates))) hints.insert(name);
  }
  throw Error(ExitCode::usage, message,
              hints.empty() ? "list the sites with lora-train --model M.pt --list-targets"
                            : cat("nearest: ", join(hints, ", "), "; --list-targets shows all"));
}

}  // namespace

const char* to_string(SiteKind kind) {
  switch (kind) {
    case SiteKind::linear:
      return "linear";
    case SiteKind::conv1d:
      return "conv1d";
    case SiteKind::embedding:
      return "embedding";
  }
  return "?";
}

const char* to_string(SiteRole role) {
  for (const auto& [value, name] : kRoles) {
    if (value == role) return name;
  }
  return "?";
}

std::string Target::name() const { return slice ? cat(site->path, ":", to_string(slice->role)) : site->path; }

std::vector<Target> resolve_targets(const std::vector<Site>& sites, const TargetChoice& choice) {
  const std::vector<Target> candidates = all_candidates(sites);
  std::vector<Target> wanted, excluded;
  std::vector<std::string> unmatched;
  const auto collect = [&](const std::vector<std::string>& patterns, std::vector<Target>& into) {
    for (const std::string& pattern : patterns) {
      const auto found = matching(candidates, pattern);
      if (found.empty()) unmatched.push_back(pattern);
      into.insert(into.end(), found.begin(), found.end());
    }
  };
  collect(choice.patterns, wanted);
  collect(choice.exclude, excluded);
  report_unmatched(unmatched, candidates);

  int layers = 0;
  for (const Site& site : sites) layers = std::max(layers, site.layer + 1);
  const std::set<int> kept = choice.layers.empty() ? std::set<int>{} : parse_layers(choice.layers, layers);

  std::vector<Target> targets;
  for (const Target& candidate : candidates) {
    const bool in_layers = choice.layers.empty() || kept.count(candidate.site->layer);
    if (contains(wanted, candidate) && !is_excluded(excluded, candidate) && in_layers)
      targets.push_back(candidate);
  }
  if (targets.empty()) {
    throw Error(ExitCode::usage, "the choice of targets leaves no site",
                "loosen --exclude or --layers; --list-targets shows all sites");
  }
  return targets;
}

}  // namespace lora
