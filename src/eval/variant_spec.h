#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace lora {

/// One row of a comparison as the user names it: `base`, NAME=adapter:DIR, NAME=model:FILE or NAME=run:DIR.
struct VariantSpec {
  enum class Kind { base, adapter, model, run };
  std::string name;
  Kind kind = Kind::base;
  std::filesystem::path path;  ///< empty for the base
};

const char* to_string(VariantSpec::Kind kind);

/// Usage error with examples for a malformed entry, an unknown kind or a name given twice; io error for a
/// path that does not exist.
std::vector<VariantSpec> parse_variants(const std::vector<std::string>& entries);

}  // namespace lora
