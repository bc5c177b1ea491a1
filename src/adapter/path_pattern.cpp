#include "adapter/path_pattern.h"

#include <algorithm>
#include <regex>

#include "lora/base/error.h"
#include "lora/base/text.h"

namespace lora {

namespace {

/// std::regex compiles and matches by recursion.
constexpr std::size_t kMostPattern = 4096, kMostBrackets = 64, kMostPath = 1024;

bool is_moderate(const std::string& expression, const std::string& path) {
  const auto brackets = std::count(expression.begin(), expression.end(), '(');
  return expression.size() <= kMostPattern && brackets <= static_cast<std::ptrdiff_t>(kMostBrackets) &&
         path.size() <= kMostPath;
}

}  // namespace

bool matches_path(const std::string& expression, const std::string& path, const std::string& what) {
  if (!is_moderate(expression, path)) {
    throw Error(ExitCode::file, cat(what, " \"", printable(expression.substr(0, 60)),
                                    "...\" or a module's path is too long: at most ", kMostPattern,
                                    " characters with ", kMostBrackets, " brackets, and ", kMostPath));
  }
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
