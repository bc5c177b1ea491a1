#include "eval/variant_spec.h"

#include <algorithm>
#include <array>
#include <utility>

#include "lora/base/error.h"
#include "lora/base/files.h"
#include "lora/base/text.h"

namespace lora {
namespace {

using Kind = VariantSpec::Kind;

constexpr std::array<std::pair<Kind, const char*>, 3> kKinds = {
    {{Kind::adapter, "adapter"}, {Kind::model, "model"}, {Kind::run, "run"}}};

[[noreturn]] void refuse(const std::string& entry, const std::string& why) {
  throw Error(
      ExitCode::usage, cat("--variant \"", printable(entry), "\": ", why),
      "use --variant base, --variant mine=adapter:runs/x/adapter, --variant merged=model:merged.pt or "
      "--variant full=run:runs/full");
}

VariantSpec parse_variant(const std::string& entry) {
  if (entry == "base") return {"base", Kind::base, {}};
  const auto equals = entry.find('=');
  const auto colon = entry.find(':', equals == std::string::npos ? 0 : equals);
  if (equals == std::string::npos || equals == 0) refuse(entry, "expected base or NAME=KIND:PATH");
  if (colon == std::string::npos || colon + 1 == entry.size())
    refuse(entry, "expected KIND:PATH after the name");
  const std::string kind = entry.substr(equals + 1, colon - equals - 1);
  for (const auto& [value, word] : kKinds) {
    if (kind == word) return {entry.substr(0, equals), value, entry.substr(colon + 1)};
  }
  refuse(entry, cat("unknown kind \"", printable(kind), "\"; expected adapter, model or run"));
}

}  // namespace

const char* to_string(Kind kind) {
  for (const auto& [value, word] : kKinds) {
    if (kind == value) return word;
  }
  return "base";
}

std::vector<VariantSpec> parse_variants(const std::vector<std::string>& entries) {
  std::vector<VariantSpec> specs;
  for (const std::string& entry : entries) {
    VariantSpec spec = parse_variant(entry);
    const auto same = [&](const VariantSpec& other) { return other.name == spec.name; };
    if (std::any_of(specs.begin(), specs.end(), same))
      refuse(entry, cat("the name ", spec.name, " is given twice"));
    if (spec.kind != Kind::base)
      require_exists(spec.path, cat("variant \"", printable(spec.name), "\": ", to_string(spec.kind)));
    specs.push_back(std::move(spec));
  }
  if (specs.empty()) refuse("", "no variant given");
  return specs;
}

}  // namespace lora
