#pragma once

#include "base/json.h"
#include "lora/checkpoint/run_folder.h"

namespace lora {

constexpr const char* kReportFile = "report.json";

Json run_report_json(const RunReport& report);
RunReport parse_run_report(const Json& json, const JsonOrigin& origin);

}  // namespace lora
