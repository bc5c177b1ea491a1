#pragma once

#include <string_view>

#include "lora/base/text.h"

namespace lora {

enum class LogLevel { debug, info, warn, error, off };

/// Only programs call this. Logs go to stderr; stdout is for results.
void set_log_level(LogLevel level);

/// Writes "[scope] text" to stderr.
void log(LogLevel level, std::string_view scope, std::string_view text);

template <class... Parts>
void log_info(std::string_view scope, const Parts&... parts) {
  log(LogLevel::info, scope, cat(parts...));
}
template <class... Parts>
void log_warn(std::string_view scope, const Parts&... parts) {
  log(LogLevel::warn, scope, cat(parts...));
}
template <class... Parts>
void log_debug(std::string_view scope, const Parts&... parts) {
  log(LogLevel::debug, scope, cat(parts...));
}

}  // namespace lora
