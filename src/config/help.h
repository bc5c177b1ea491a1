#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "lora/config/option_table.h"

namespace lora {

/// What a command is, for its help.
struct CommandInfo {
  std::string name;                   ///< "lora-merge bake"
  std::string purpose;                ///< a sentence
  std::vector<std::string> examples;  ///< command lines
};

/// Words of `text` in lines of at most `width` characters, each after the first behind `indent` spaces.
std::string wrap(std::string_view text, std::size_t width, std::size_t indent);

/// "usage: lora-merge bake --model FILE --adapter DIR --out FILE [options]"
std::string usage_line(const CommandInfo& command, const OptionTable& options);

/// Usage and one example: the answer to a command without arguments.
std::string short_usage(const CommandInfo& command, const OptionTable& options);

/// The whole help; `options` of a struct that nobody changed, because its values are shown as the defaults.
std::string help_text(const CommandInfo& command, const OptionTable& options, std::size_t width);

}  // namespace lora
