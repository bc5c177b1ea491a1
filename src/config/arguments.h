#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace lora {

/// A flag that the command line may contain, without its dashes.
struct FlagSpec {
  enum class Takes { nothing, one_value, values };
  std::string name;
  Takes takes = Takes::one_value;
};

/// A command line taken apart; nothing is converted or checked yet.
struct Arguments {
  /// The values of each flag in order; nullopt where the flag stood without one.
  std::map<std::string, std::vector<std::optional<std::string>>> flags;
  std::vector<std::string> unknown_flags;  ///< "--rnak"
  std::vector<std::string> words;          ///< what belongs to no flag
};

/// `--flag value`, `--flag=value`, `--flag a b c` for flags that take values, `-h` for help, and `--` before
/// words that start with a dash.
Arguments split_arguments(const std::vector<std::string>& arguments, const std::vector<FlagSpec>& flags);

}  // namespace lora
