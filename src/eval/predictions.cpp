#include "eval/predictions.h"

#include <algorithm>

#include "base/json.h"
#include "lora/base/error.h"
#include "lora/base/files.h"
#include "lora/base/text.h"

namespace lora {
namespace {

std::vector<std::string> references_of(const Json& row, const JsonOrigin& origin) {
  if (row.contains("reference")) return {json_string(row["reference"], "reference", origin)};
  if (row.contains("references") && !row["references"].is_array())
    throw Error(
        origin.code,
        cat(origin.place, ": \"references\" must be a list of texts, found ", row["references"].type_name()),
        "give \"references\": [\"one text\", \"another\"], or \"reference\": \"one text\"");
  if (!row.contains("references") || row["references"].empty()) {
    throw Error(origin.code, cat(origin.place, ": the row has no \"references\" to compare with"),
                "give each row \"references\": [\"...\"]; lora-eval generate copies those of its --data");
  }
  std::vector<std::string> references;
  for (const Json& item : row["references"]) references.push_back(json_string(item, "references", origin));
  return references;
}

std::string prediction_of(const Json& row, const JsonOrigin& origin) {
  for (const char* key : {"prediction", "text"}) {
    if (row.contains(key)) return json_string(row[key], key, origin);
  }
  throw Error(origin.code, cat(origin.place, ": the row has neither \"prediction\" nor \"text\""),
              "lora-eval generate --data FILE --out PREDICTIONS makes such files");
}

/// The system of this name, new if it is not there yet.
Predictions& system_of(std::vector<Predictions>& systems, const std::string& name) {
  for (Predictions& system : systems) {
    if (system.name == name) return system;
  }
  systems.push_back({name, {}, {}});
  return systems.back();
}

std::vector<Predictions> read_file_systems(const std::string& file) {
  std::vector<Predictions> systems;
  std::int64_t number = 0;
  for (const std::string& line : split(read_file(file), '\n')) {
    ++number;
    if (trim(line).empty()) continue;
    const JsonOrigin origin{cat(file, " line ", number), ExitCode::data};
    const Json row = parse_json(line, origin);
    if (!row.is_object()) throw Error(origin.code, cat(origin.place, ": a row is an object"));
    const std::string adapter =
        row.contains("adapter") && row["adapter"].is_string() ? row["adapter"].get<std::string>() : "";
    Predictions& system = system_of(systems, adapter.empty() ? file : cat(file, ":", adapter));
    system.prompts.push_back(
        row.contains("prompt") && row["prompt"].is_string() ? row["prompt"].get<std::string>() : "");
    system.texts.push_back({prediction_of(row, origin), references_of(row, origin)});
  }
  if (systems.empty()) throw Error(ExitCode::data, cat(file, " holds no row"));
  return systems;
}

void refuse_other_rows(const Predictions& first, const Predictions& other) {
  const std::string where =
      cat("\"", printable(other.name), "\" answers other rows than \"", printable(first.name), "\"");
  if (other.texts.size() != first.texts.size())
    throw Error(ExitCode::data, cat(where, ": ", other.texts.size(), " of them, not ", first.texts.size()));
  for (std::size_t i = 0; i < first.texts.size(); ++i) {
    if (other.prompts[i] != first.prompts[i] || other.texts[i].references != first.texts[i].references)
      throw Error(ExitCode::data, cat(where, ": row ", i + 1, " differs in its prompt or references"),
                  "compare answers to the same rows in the same order");
  }
}

}  // namespace

std::vector<Predictions> read_predictions(const std::vector<std::string>& files) {
  std::vector<Predictions> systems;
  for (const std::string& file : files) {
    for (Predictions& system : read_file_systems(file)) systems.push_back(std::move(system));
  }
  for (const Predictions& system : systems) refuse_other_rows(systems.front(), system);
  return systems;
}

}  // namespace lora
