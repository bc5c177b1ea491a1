#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "base/json.h"
#include "lora/base/cache.h"

namespace lora {

/// What was found out about a model file, kept in a cache for as long as the file, this program and the
/// processor are the same.
class ModelFacts {
 public:
  ModelFacts(const Cache& cache, const std::filesystem::path& file);

  /// Null if it is not known.
  Json find(const std::string& name) const;
  void keep(const std::string& name, const Json& fact) const;

 private:
  std::string key(const std::string& name) const;

  Cache cache_;
  std::string origin_;  ///< file, program and processor; empty: nothing is kept
};

}  // namespace lora
