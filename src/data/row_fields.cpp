#include "data/row_fields.h"

#include <algorithm>
#include <utility>

#include "lora/base/text.h"

namespace lora {

FieldNames::FieldNames(std::map<std::string, std::string> mapped, const std::vector<std::string>& standard)
    : mapped_(std::move(mapped)) {
  for (const auto& [field, name] : mapped_) {
    if (std::find(standard.begin(), standard.end(), field) != standard.end()) continue;
    const auto nearest = nearest_names(field, standard, 1);
    throw Error(ExitCode::usage,
                cat("--fields ", printable(field), "=", printable(name), ": \"", printable(field),
                    "\" is no standard field; they are ", join(standard, ", ")),
                nearest.empty() ? "the standard name stands on the left: prompt=question"
                                : cat("did you mean ", nearest[0], "?"));
  }
}

const std::string* FieldNames::in_file(const std::string& standard) const {
  if (const auto found = mapped_.find(standard); found != mapped_.end()) return &found->second;
  const bool taken = std::any_of(mapped_.begin(), mapped_.end(),
                                 [&](const auto& entry) { return entry.second == standard; });
  return taken ? nullptr : &standard;
}

RowFields::RowFields(const Json& row, const FieldNames& names, const JsonOrigin& origin)
    : row_(row), names_(names), origin_(origin) {
  if (row.is_object()) return;
  throw Error(origin.code, cat(origin.place, ": a row must be a JSON object, found ", row.type_name()));
}

const Json* RowFields::find(const std::string& field) const {
  const std::string* name = names_.in_file(field);
  if (!name) return nullptr;
  const auto found = row_.find(*name);
  return found == row_.end() || found->is_null() ? nullptr : &*found;
}

std::string RowFields::text(const std::string& field) const {
  return json_string(value(field), name(field), origin_);
}

std::string RowFields::non_empty_text(const std::string& field) const {
  std::string found = text(field);
  if (found.empty()) refuse(field, "is empty");
  return found;
}

void RowFields::refuse(const std::string& field, const std::string& what) const {
  throw Error(origin_.code, cat(origin_.place, ": \"", printable(name(field)), "\" ", what));
}

}  // namespace lora
