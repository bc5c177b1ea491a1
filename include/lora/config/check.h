#pragma once

#include "lora/config/option_table.h"

namespace lora {

/// usage error listing every option that breaks one of its rules or is required and missing.
void check_options(const OptionTable& options);

/// The same for a config struct that was filled by hand.
template <class Config>
void check_config(Config config) {
  check_options(options_of(config));
}

}  // namespace lora
