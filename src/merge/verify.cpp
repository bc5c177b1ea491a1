#include "lora/merge/verify.h"

#include <iostream>

#include "base/json.h"
#include "base/text_table.h"
#include "lora/base/text.h"
#include "lora/config/check.h"
#include "merge/adapter_checks.h"

namespace lora {
namespace {

const char* to_string(CheckState state) {
  switch (state) {
    case CheckState::passed:
      return "ok";
    case CheckState::failed:
      return "FAILED";
    case CheckState::skipped:
      return "not checked";
  }
  return "";
}

/// One adapter's checks.
struct Verdict {
  std::string adapter;
  std::vector<AdapterCheck> checks;
};

ExitCode first_failure(const std::vector<Verdict>& verdicts) {
  for (const Verdict& verdict : verdicts) {
    for (const AdapterCheck& check : verdict.checks) {
      if (check.state == CheckState::failed) return check.code;
    }
  }
  return ExitCode::ok;
}

std::string verdict_text(const Verdict& verdict) {
  TextTable table({"check", "result", "finding"}, {1, 2});
  std::string details;
  for (const AdapterCheck& check : verdict.checks) {
    const std::string first = check.finding.substr(0, check.finding.find('\n'));
    table.add({check.name, to_string(check.state), printable(first)});
    if (first.size() < check.finding.size()) details += check.finding.substr(first.size() + 1) + "\n";
  }
  return cat(printable(verdict.adapter), "\n", table.str(), details);
}

Json verdicts_json(const std::vector<Verdict>& verdicts) {
  Json all = Json::array();
  for (const Verdict& verdict : verdicts) {
    Json checks = Json::array();
    for (const AdapterCheck& check : verdict.checks) {
      checks.push_back({{"check", check.name},
                        {"result", check.state == CheckState::failed ? "failed" : to_string(check.state)},
                        {"finding", check.finding},
                        {"exit_code", static_cast<int>(check.code)}});
    }
    all.push_back({{"adapter", verdict.adapter}, {"checks", checks}});
  }
  return all;
}

}  // namespace

int verify(const VerifyConfig& config) {
  check_config(config);
  std::unique_ptr<Program> base;
  if (!config.model.empty()) base = std::make_unique<Program>(Program::load(config.model));
  std::vector<Verdict> verdicts;
  for (const std::string& adapter : config.adapters)
    verdicts.push_back({adapter, check_adapter(adapter, base.get())});
  if (config.json) {
    std::cout << verdicts_json(verdicts).dump(2) << "\n";
  } else {
    for (const Verdict& verdict : verdicts)
      std::cout << verdict_text(verdict) << (verdicts.size() > 1 ? "\n" : "");
  }
  std::cout << std::flush;
  return static_cast<int>(first_failure(verdicts));
}

}  // namespace lora
