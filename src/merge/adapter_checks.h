#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "lora/base/error.h"
#include "lora/model/program.h"

namespace lora {

enum class CheckState { passed, failed, skipped };

/// The result of one check.
struct AdapterCheck {
  std::string name;
  CheckState state = CheckState::skipped;
  std::string finding;  ///< what was found, what is wrong, or why it was not done
  ExitCode code = ExitCode::ok;
};

/// Structure, content hash, finite values, trained modules; with a base, fit and merged against live logits.
/// A check that needs a failed one is skipped. The base's weights are as they were afterwards.
std::vector<AdapterCheck> check_adapter(const std::filesystem::path& path, Program* base);

}  // namespace lora
