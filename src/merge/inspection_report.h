#pragma once

#include <string>

#include "base/json.h"
#include "merge/inspection.h"

namespace lora {

Json inspection_json(const Inspection& found);

/// Lines for a terminal: where the adapter comes from, a table of its modules, their norms over the layers.
std::string inspection_text(const Inspection& found);

}  // namespace lora
