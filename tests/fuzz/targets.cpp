#include "fuzz_target.h"
#include "lora/base/error.h"

namespace lora::fuzz {

const std::vector<FuzzTarget>& fuzz_targets() {
  static const std::vector<FuzzTarget> targets = [] {
    std::vector<FuzzTarget> all = binary_targets();
    for (const auto& more : {text_targets(), code_targets()}) all.insert(all.end(), more.begin(), more.end());
    return all;
  }();
  return targets;
}

void try_input(const FuzzTarget& target, std::string_view input) {
  try {
    target.read(input);
  } catch (const Error& error) {
    switch (error.code()) {
      case ExitCode::usage:
      case ExitCode::data:
      case ExitCode::file:
      case ExitCode::mismatch:
        return;
      default:
        throw;
    }
  }
}

}  // namespace lora::fuzz
