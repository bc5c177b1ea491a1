#include "merge/merge_history.h"

#include <set>

#include "lora/base/files.h"
#include "lora/base/process.h"
#include "lora/base/text.h"
#include "lora/base/version.h"
#include "lora/model/program.h"

namespace lora {
namespace {

constexpr std::uint64_t kMostBytes = 16 << 20;

std::string history_text(const std::filesystem::path& model) {
  if (!std::filesystem::is_directory(model)) return read_provenance(model);
  const auto file = model / kHistoryFile;
  return std::filesystem::exists(file) ? read_file(file, kMostBytes) : std::string();
}

}  // namespace

Json read_history(const std::filesystem::path& model) {
  const std::string text = history_text(model);
  if (text.empty()) return nullptr;
  Json history = parse_json(text, {cat(kHistoryFile, " in \"", model.string(), "\""), ExitCode::file});
  return history.is_object() ? history : Json(nullptr);
}

void refuse_second_merge(const Json& history, const AdapterSources& adapters,
                         const std::filesystem::path& model) {
  std::set<std::string> merged;
  for (const Json* step = &history; step->is_object();) {
    for (const Json& adapter : step->value("adapters", Json::array())) {
      if (adapter.is_object() && adapter.value("sha256", Json()).is_string())
        merged.insert(adapter["sha256"].get<std::string>());
    }
    const auto before = step->find("before");
    if (before == step->end()) break;
    step = &*before;
  }
  for (const AdapterFolder& adapter : adapters.folders()) {
    if (merged.insert(adapter.sha256).second) continue;  // also finds one that is given twice
    throw Error(
        ExitCode::mismatch,
        cat("adapter \"", adapter.path.string(), "\" is already merged into \"", model.string(),
            "\", or given twice"),
        "a second merge would add its update twice: give the base model, or use the merged one as it is");
  }
}

Json merged_history(const Json& before, const AdapterSources& adapters, const std::string& base_fingerprint) {
  Json merged = Json::array();
  for (std::size_t i = 0; i < adapters.folders().size(); ++i) {
    const AdapterFolder& folder = adapters.folders()[i];
    merged.push_back({{"sha256", folder.sha256},
                      {"factor", adapters.weight(i)},
                      {"method", folder.config.defaults.method},
                      {"rank", folder.config.defaults.rank},
                      {"alpha", folder.config.defaults.alpha},
                      {"facts", folder.provenance.facts}});
  }
  Json history = {{"kind", "merged"},
                  {"base", adapters.folders().front().provenance.base_name},
                  {"base_fingerprint", base_fingerprint},
                  {"adapters", merged},
                  {"version", version()},
                  {"written", utc_timestamp()}};
  if (before.is_object()) history["before"] = before;
  return history;
}

}  // namespace lora
