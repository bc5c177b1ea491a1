#pragma once

#include <string>

namespace lora {

/// True if the regular expression matches the whole path. file error naming `what` if it is none, or if it or
/// the path is so long that std::regex, which works by recursion, might run out of stack.
bool matches_path(const std::string& expression, const std::string& path, const std::string& what);

/// PEFT's rule for rank_pattern and alpha_pattern: the expression is the end of the path, after a segment
/// border.
bool matches_path_end(const std::string& expression, const std::string& path, const std::string& what);

}  // namespace lora
