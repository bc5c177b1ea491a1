#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "lora/checkpoint/adapter_folder.h"

namespace lora {

/// What inspection finds about one adapted module.
struct ModuleFacts {
  std::string module;
  std::int64_t rank = 0, in = 0, out = 0;
  double alpha = 0, scale = 0;
  std::vector<std::string> slices;
  std::int64_t parameters = 0;
  double update_norm = 0;     ///< |scale B A|, Frobenius; NaN if a factor is not finite
  double effective_rank = 0;  ///< of the update, see subspace.h; NaN if a factor is not finite
};

/// Everything that is reported about a folder.
struct Inspection {
  const AdapterFolder& folder;
  std::vector<ModuleFacts> modules;
  std::map<std::string, std::vector<std::int64_t>> whole;  ///< shapes of parameters trained whole
  std::int64_t parameters = 0;
  std::vector<std::string> not_finite, without_update;
};

Inspection look_at(const AdapterFolder& folder);

}  // namespace lora
