#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "base/json.h"
#include "lora/base/text.h"

namespace lora {

/// One object of tokenizer.json and its place there: "tokenizer.json: pre_tokenizer.pretokenizers[1]".
/// Whatever is wrong with it is a file error that names the place.
class Component {
 public:
  Component(const Json& json, std::string place);

  const Json& json() const { return json_; }
  const std::string& place() const { return place_; }
  JsonOrigin origin() const { return {place_, ExitCode::file}; }

  std::string type() const { return text("type"); }
  /// True if the key is there and not null.
  bool has(std::string_view key) const;
  const Json& at(std::string_view key) const { return json_at(json_, key, origin()); }
  Component child(std::string_view key) const;
  std::vector<Component> children(std::string_view key) const;

  std::string text(std::string_view key) const;
  std::string text_or(std::string_view key, std::string fallback) const;
  bool flag_or(std::string_view key, bool fallback) const;
  std::int64_t integer_or(std::string_view key, std::int64_t fallback) const;
  /// A string of exactly one character.
  char32_t character(std::string_view key) const;

  [[noreturn]] void refuse(const std::string& why, std::string hint = {}) const;

 private:
  const Json& json_;
  std::string place_;
};

/// A row of a table of kinds: a value of "type" and what makes it.
template <class Kind>
struct Maker {
  std::string_view type;
  std::unique_ptr<Kind> (*make)(const Component&);
};

/// For the tables: makes a Class from its component, or from nothing if it has no settings.
template <class Kind, class Class>
std::unique_ptr<Kind> make_from(const Component& component) {
  if constexpr (std::is_constructible_v<Class, const Component&>) {
    return std::make_unique<Class>(component);
  } else {
    return std::make_unique<Class>();
  }
}

/// Makes what `component` describes; a type that is not in `table` is refused by name.
template <class Kind, std::size_t count>
std::unique_ptr<Kind> make_kind(const Component& component, const Maker<Kind> (&table)[count]) {
  const std::string type = component.type();
  std::vector<std::string_view> known;
  for (const Maker<Kind>& row : table) {
    if (row.type == type) return row.make(component);
    known.push_back(row.type);
  }
  component.refuse(cat("the type \"", printable(type), "\" is not supported"),
                   cat("supported here: ", join(known, ", ")));
}

}  // namespace lora
