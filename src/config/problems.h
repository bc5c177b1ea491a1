#pragma once

#include <string>
#include <vector>

#include "lora/base/error.h"
#include "lora/base/text.h"

namespace lora {

/// Everything wrong with a set of options, so that a user sees all of it at once.
class Problems {
 public:
  void add(std::string problem) { problems_.push_back(std::move(problem)); }

  /// An error with one line per problem, if there is any.
  void throw_if_any(const std::string& hint = "", ExitCode code = ExitCode::usage) const {
    if (!problems_.empty()) throw Error(code, join(problems_, "\n"), hint);
  }

 private:
  std::vector<std::string> problems_;
};

/// "; nearest: rank, alpha" or nothing.
inline std::string nearest_text(const std::string& name, const std::vector<std::string>& candidates) {
  const auto nearest = nearest_names(name, candidates);
  return nearest.empty() ? "" : cat("; nearest: ", join(nearest, ", "));
}

}  // namespace lora
