#include "lora/config/config_json.h"

#include "base/json.h"
#include "config/problems.h"
#include "config/values.h"

namespace lora {
namespace {

/// Where the config.json of a run folder keeps the options of its training.
constexpr const char* kOptionsOfRun = "options";

struct ToJson {
  Json operator()(std::monostate) const { return nullptr; }
  template <class Value>
  Json operator()(const Value& value) const {
    return value;
  }
};

std::vector<std::string> read_list(const Json& value, const std::string& name, const JsonOrigin& origin) {
  if (!value.is_array()) {
    throw Error(origin.code, cat(origin.place, ": \"", name, "\" must be a list of strings, found ",
                                 printable(value.dump())));
  }
  std::vector<std::string> list;
  for (const Json& item : value) list.push_back(json_string(item, cat(name, "[", list.size(), "]"), origin));
  return list;
}

OptionValue read_value(const Option& option, const Json& value, const JsonOrigin& origin) {
  if (option.optional && value.is_null()) return {};
  switch (option.kind) {
    case OptionKind::flag:
      return json_bool(value, option.name, origin);
    case OptionKind::whole:
      return json_int(value, option.name, origin);
    case OptionKind::number:
      return json_number(value, option.name, origin);
    case OptionKind::list:
      return read_list(value, option.name, origin);
    case OptionKind::text:
    case OptionKind::unset:
      break;
  }
  return json_string(value, option.name, origin);
}

/// Sets one option, or says what is wrong with the value.
std::string set_from_json(const Option& option, const Json& json, const JsonOrigin& origin) {
  try {
    const OptionValue value = read_value(option, json, origin);
    if (const std::string rule = option.broken_rule(value); !rule.empty()) {
      return cat(origin.place, ": \"", option.name, "\" must be ", rule, ", found ",
                 printable(value_text(value)));
    }
    option.set(value);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

}  // namespace

std::string to_json_text(const OptionTable& options) {
  Json json = Json::object();
  for (const Option& option : options.options()) json[option.name] = std::visit(ToJson(), option.get());
  return json.dump(2, ' ', false, Json::error_handler_t::replace);
}

void read_json_text(const OptionTable& options, std::string_view text, const std::string& place,
                    ExitCode code) {
  const JsonOrigin origin{place, code};
  const Json document = parse_json(text, origin);
  const bool is_run_record = document.is_object() && document.contains(kOptionsOfRun);
  const Json& json = is_run_record ? document[kOptionsOfRun] : document;
  if (!json.is_object()) throw Error(origin.code, cat(place, ": options must be one JSON object"));
  Problems problems;
  for (const auto& [name, value] : json.items()) {
    const Option* option = options.find(name);
    const std::string problem = option ? set_from_json(*option, value, origin)
                                       : cat(place, ": unknown option \"", printable(name), "\"",
                                             nearest_text(name, options.names()));
    if (!problem.empty()) problems.add(problem);
  }
  problems.throw_if_any("", code);
}

}  // namespace lora
