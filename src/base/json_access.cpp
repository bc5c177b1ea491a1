#include <limits>

#include "base/json.h"
#include "lora/base/text.h"

namespace lora {
namespace {

constexpr std::size_t kShown = 60;  ///< characters of an unexpected value in a message

[[noreturn]] void wrong(const Json& value, std::string_view what, const char* expected, const JsonOrigin& origin) {
  std::string found = printable(value.dump(-1, ' ', false, Json::error_handler_t::replace));
  if (found.size() > kShown) found = printable(found.substr(0, kShown)) + "...";
  throw Error(origin.code, cat(origin.place, ": \"", printable(what), "\" must be ", expected, ", found ", found));
}

}  // namespace

const Json& json_at(const Json& object, std::string_view key, const JsonOrigin& origin) {
  if (!object.is_object()) wrong(object, key, "inside an object", origin);
  const auto found = object.find(std::string(key));
  if (found != object.end()) return *found;
  throw Error(origin.code, cat(origin.place, ": the key \"", key, "\" is missing"));
}

std::string json_string(const Json& value, std::string_view what, const JsonOrigin& origin) {
  if (!value.is_string()) wrong(value, what, "a string", origin);
  return value.get<std::string>();
}

std::int64_t json_int(const Json& value, std::string_view what, const JsonOrigin& origin) {
  const bool too_large = value.is_number_unsigned() &&
                         value.get<std::uint64_t>() > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  if (!value.is_number_integer() || too_large) wrong(value, what, "a whole number of at most 64 bits", origin);
  return value.get<std::int64_t>();
}

double json_number(const Json& value, std::string_view what, const JsonOrigin& origin) {
  if (!value.is_number()) wrong(value, what, "a number", origin);
  return value.get<double>();
}

bool json_bool(const Json& value, std::string_view what, const JsonOrigin& origin) {
  if (!value.is_boolean()) wrong(value, what, "true or false", origin);
  return value.get<bool>();
}

}  // namespace lora
