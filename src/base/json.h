#pragma once

#include <cstdint>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lora/base/error.h"

namespace lora {

/// Documents keep the order of their keys.
using Json = nlohmann::ordered_json;

/// Where a piece of JSON came from and which exit code its defects have.
struct JsonOrigin {
  std::string place;                 ///< "train.jsonl line 17", "adapter_config.json"
  ExitCode code = ExitCode::data;    ///< thrown for malformed text and wrong types
};

/// Strict parse: valid UTF-8, no duplicate keys, at most 64 levels, nothing after the value, finite numbers.
/// A leading byte-order mark is skipped. Errors name place, line, column and a short excerpt.
Json parse_json(std::string_view text, const JsonOrigin& origin);

/// Checked access: a wrong type or a number out of range is an error naming origin and key.
const Json& json_at(const Json& object, std::string_view key, const JsonOrigin& origin);
std::string json_string(const Json& value, std::string_view what, const JsonOrigin& origin);
std::int64_t json_int(const Json& value, std::string_view what, const JsonOrigin& origin);
double json_number(const Json& value, std::string_view what, const JsonOrigin& origin);
bool json_bool(const Json& value, std::string_view what, const JsonOrigin& origin);

}  // namespace lora
