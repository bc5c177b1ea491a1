#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/json.h"
#include "merge/base_analysis.h"
#include "merge/intruders.h"

namespace lora {

/// By module; modules without intruders are there with an empty list.
using ModuleIntruders = std::map<std::string, std::vector<Intruder>>;

Json base_json(const std::vector<BaseFacts>& facts);
Json intruders_json(const ModuleIntruders& intruders);

/// Tables by module pattern and the amplification over the layers.
std::string base_text(const std::vector<BaseFacts>& facts);
std::string intruders_text(const ModuleIntruders& intruders, const IntruderOptions& options);

}  // namespace lora
