#include "tokenizer/component.h"

#include "tokenizer/unicode.h"

namespace lora {

Component::Component(const Json& json, std::string place) : json_(json), place_(std::move(place)) {
  if (!json_.is_object()) refuse("a JSON object is expected");
}

bool Component::has(std::string_view key) const {
  const auto found = json_.find(std::string(key));
  return found != json_.end() && !found->is_null();
}

Component Component::child(std::string_view key) const {
  const bool top = place_.find(": ") == std::string::npos;
  return Component(at(key), cat(place_, top ? ": " : ".", key));
}

std::vector<Component> Component::children(std::string_view key) const {
  const Json& items = at(key);
  if (!items.is_array()) refuse(cat("\"", key, "\" must be an array"));
  std::vector<Component> made;
  for (std::size_t i = 0; i < items.size(); ++i)
    made.emplace_back(items[i], cat(place_, ".", key, "[", i, "]"));
  return made;
}

std::string Component::text(std::string_view key) const { return json_string(at(key), key, origin()); }

std::string Component::text_or(std::string_view key, std::string fallback) const {
  return has(key) ? text(key) : std::move(fallback);
}

bool Component::flag_or(std::string_view key, bool fallback) const {
  return has(key) ? json_bool(at(key), key, origin()) : fallback;
}

std::int64_t Component::integer_or(std::string_view key, std::int64_t fallback) const {
  return has(key) ? json_int(at(key), key, origin()) : fallback;
}

char32_t Component::character(std::string_view key) const {
  const std::string value = text(key);
  if (count_chars(value) != 1)
    refuse(cat("\"", key, "\" must be one character, found \"", printable(value), "\""));
  std::size_t at = 0;
  return next_char(value, at);
}

void Component::refuse(const std::string& why, std::string hint) const {
  throw Error(ExitCode::file, cat(place_, ": ", why), std::move(hint));
}

}  // namespace lora
