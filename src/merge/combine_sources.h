#pragma once

#include <map>
#include <string>
#include <vector>

#include "merge/module_update.h"
#include "merge/weighted_adapter.h"

namespace lora {

/// One adapter to be combined.
struct CombineSource {
  AdapterFolder folder;
  double weight = 1;
  std::map<std::string, ModuleUpdate> updates;  ///< by module
  std::map<std::string, at::Tensor> whole;      ///< trained whole, by parameter path

  /// True if no update needs the base's weights to be known.
  bool is_plain() const;
};

/// Reads the folders. mismatch error listing everything in which they disagree: base, classes, task, shapes
/// and kinds of modules and whole weights, a module that one adapts and another holds whole. file error for
/// NaN or Inf.
std::vector<CombineSource> read_sources(const std::vector<WeightedAdapterPath>& adapters);

/// All modules that any source adapts, in the order of their paths.
std::vector<std::string> modules_of(const std::vector<CombineSource>& sources);

}  // namespace lora
