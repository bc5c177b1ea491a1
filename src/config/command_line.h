#pragma once

#include <string>
#include <vector>

#include "config/general_options.h"
#include "lora/config/option_table.h"

namespace lora {

/// Sets `options` from the command line: flags win over --config FILE, which wins over what the struct had.
/// usage error listing every unknown flag (with the nearest names), wrong value and missing option. With
/// --help or --version nothing else is read; with --print-config nothing is missing.
GeneralOptions read_command_line(const std::vector<std::string>& arguments, const OptionTable& options);

}  // namespace lora
