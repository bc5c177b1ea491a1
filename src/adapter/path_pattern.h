#pragma once

#include <string>

namespace lora {

/// True if the regular expression matches the whole path. file error naming `what` if it is none.
bool matches_path(const std::string& expression, const std::string& path, const std::string& what);

/// PEFT's rule for rank_pattern and alpha_pattern: the expression is the end of the path, after a segment
/// border.
bool matches_path_end(const std::string& expression, const std::string& path, const std::string& what);

}  // namespace lora
