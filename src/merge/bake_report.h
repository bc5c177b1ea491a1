#pragma once

#include <string>
#include <vector>

#include "adapter/merge.h"
#include "base/json.h"
#include "merge/verify_merge.h"

namespace lora {

/// What one weight's merge did, without its value.
struct ModuleChange {
  std::string module, weight;
  double largest_change = 0, swallowed_share = 0, norm_lost = 0;
};

/// Results of `lora-merge bake`.
struct BakeReport {
  std::string model, adapter, out;
  std::string base_fingerprint, adapter_sha256, dtype;
  std::vector<ModuleChange> modules;
  std::vector<std::string> replaced;  ///< weights that the adapter holds whole
  std::int64_t probe_rows = 0, probe_tokens = 0;
  LogitDifference difference;
  double tolerance = 0;
  std::uint64_t bytes = 0;
  double seconds = 0;
};

Json bake_json(const BakeReport& report);

/// Lines for a terminal: what was merged, a table of module patterns, the difference of logits.
std::string bake_text(const BakeReport& report);

}  // namespace lora
