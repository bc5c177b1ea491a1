#include "merge/merge_history.h"

#include "lora/base/process.h"
#include "lora/base/text.h"
#include "lora/base/version.h"
#include "lora/model/program.h"

namespace lora {

Json read_history(const std::filesystem::path& model) {
  const std::string text = read_provenance(model);
  if (text.empty()) return nullptr;
  Json history = parse_json(text, {cat("lora_provenance.json in \"", model.string(), "\""), ExitCode::file});
  return history.is_object() ? history : Json(nullptr);
}

void refuse_second_merge(const Json& history, const AdapterFolder& adapter,
                         const std::filesystem::path& model) {
  for (const Json* step = &history; step->is_object();) {
    if (step->value("adapter_sha256", Json()) == adapter.sha256) {
      throw Error(
          ExitCode::mismatch,
          cat("adapter \"", adapter.path.string(), "\" is already merged into \"", model.string(), "\""),
          "a second merge would add its update twice: give the base model, or use the merged file as it is");
    }
    const auto before = step->find("before");
    if (before == step->end()) break;
    step = &*before;
  }
}

Json merged_history(const Json& before, const AdapterFolder& adapter, const std::string& base_fingerprint) {
  Json history = {{"kind", "merged"},
                  {"base", adapter.provenance.base_name},
                  {"base_fingerprint", base_fingerprint},
                  {"adapter_sha256", adapter.sha256},
                  {"rank", adapter.config.defaults.rank},
                  {"alpha", adapter.config.defaults.alpha},
                  {"adapter_facts", adapter.provenance.facts},
                  {"version", version()},
                  {"written", utc_timestamp()}};
  if (before.is_object()) history["before"] = before;
  return history;
}

}  // namespace lora
