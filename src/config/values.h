#pragma once

#include <string>

#include "lora/config/option_table.h"

namespace lora {

/// The shortest decimal text that reads back as the same number.
std::string number_text(double value);

/// A value as a user would type it; empty if it is not set.
std::string value_text(const OptionValue& value);

/// What a value of this kind is, after "must be ".
std::string kind_text(OptionKind kind);

/// Reads one typed value of the kind (text and list: as it is); unset if it is none.
OptionValue parse_value(OptionKind kind, const std::string& text);

}  // namespace lora
