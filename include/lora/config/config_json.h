#pragma once

#include <string>
#include <string_view>

#include "lora/base/error.h"
#include "lora/config/option_table.h"

namespace lora {

/// All options as one JSON object in the order of declaration; optional ones that are not set are null.
/// Reading it back gives the same options.
std::string to_json_text(const OptionTable& options);

/// Sets the options that the JSON object `text` names and leaves the others; of a run's config.json, its
/// "options" are read. Error with `code` listing every unknown key (with the nearest names), wrong type and
/// broken rule; `place` names the source in messages.
void read_json_text(const OptionTable& options, std::string_view text, const std::string& place,
                    ExitCode code = ExitCode::usage);

/// A config struct as JSON, for the run record.
template <class Config>
std::string config_json(Config config) {
  return to_json_text(options_of(config));
}

}  // namespace lora
