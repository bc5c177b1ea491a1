#pragma once

#include <string>
#include <vector>

#include "adapter/merge.h"
#include "base/json.h"
#include "lora/config/bake_config.h"
#include "merge/adapter_sources.h"
#include "merge/verify_merge.h"

namespace lora {

/// What one weight's merge did, without its value.
struct ModuleChange {
  std::string module, weight;
  RoundedUpdate update;
};

/// Results of `lora-merge bake`.
struct BakeReport {
  std::string base_fingerprint, dtype;
  std::vector<ModuleChange> modules;
  std::vector<std::string> replaced;   ///< weights that an adapter holds whole
  std::vector<std::string> untouched;  ///< tensors of a Hugging Face folder that the model does not have
  std::int64_t probe_rows = 0, probe_tokens = 0;
  LogitDifference difference;
  double tolerance = 0;
  std::uint64_t bytes = 0, undo_bytes = 0;
  double seconds = 0;

  /// Adds a weight's merge; the coarsest type decides how closely logits can agree.
  void add(const MergedWeight& merged);
  /// All modules together.
  RoundedUpdate total() const;
};

Json bake_json(const BakeConfig& config, const AdapterSources& adapters, const BakeReport& report);

/// Lines for a terminal: what was merged, a table of module patterns, the difference of logits.
std::string bake_text(const BakeConfig& config, const BakeReport& report);

/// mismatch error if the logits of the written model differ from the live ones by more than its type
/// explains.
void refuse_difference(const BakeReport& report);

}  // namespace lora
