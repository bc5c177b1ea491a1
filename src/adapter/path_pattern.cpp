#include "adapter/path_pattern.h"

#include <regex>

#include "lora/base/error.h"
#include "lora/base/text.h"

namespace lora {

bool matches_path(const std::string& expression, const std::string& path, const std::string& what) {
  try {
    return std::regex_match(path, std::regex(expression));
  } catch (const std::regex_error& error) {
    throw Error(ExitCode::file, cat(what, " \"", printable(expression),
                                    "\" is no regular expression known here: ", error.what()));
  }
}

bool matches_path_end(const std::string& expression, const std::string& path, const std::string& what) {
  return matches_path(cat("(.*\\.)?(", expression, ")"), path, what);
}

}  // namespace lora
