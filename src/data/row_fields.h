#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"

namespace lora {

/// What the standard fields are called in a user's file.
class FieldNames {
 public:
  /// `mapped`: standard field -> name in the file. Usage error if a key is none of `standard`.
  FieldNames(std::map<std::string, std::string> mapped, const std::vector<std::string>& standard);

  /// The name of a standard field in the file; null if that name was given to another standard field.
  const std::string* in_file(const std::string& standard) const;
  const std::map<std::string, std::string>& mapped() const { return mapped_; }

 private:
  std::map<std::string, std::string> mapped_;
};

/// A parsed row under its standard field names. A field whose value is null counts as absent. The getters are
/// for fields that are there; a wrong type is a data error.
class RowFields {
 public:
  /// Data error if `row` is no object. Everything must outlive this.
  RowFields(const Json& row, const FieldNames& names, const JsonOrigin& origin);

  const Json* find(const std::string& field) const;
  const Json& value(const std::string& field) const { return *find(field); }
  /// The field as the file calls it, for messages.
  const std::string& name(const std::string& field) const { return *names_.in_file(field); }
  std::string text(const std::string& field) const;
  std::string non_empty_text(const std::string& field) const;

  /// This row's names in the file, nulls included.
  const Json& row() const { return row_; }
  const FieldNames& names() const { return names_; }
  const JsonOrigin& origin() const { return origin_; }
  [[noreturn]] void refuse(const std::string& field, const std::string& what) const;

 private:
  const Json& row_;
  const FieldNames& names_;
  const JsonOrigin& origin_;
};

}  // namespace lora
