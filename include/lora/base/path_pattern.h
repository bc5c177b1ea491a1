#pragma once

#include <memory>
#include <string>

#include "lora/base/error.h"

namespace lora {

/// A regular expression for paths of modules, in Python's syntax as PCRE2 reads it. Thread-safe.
class PathPattern {
 public:
  /// Error with `code`, naming `place`, if `expression` is malformed or larger than what any path needs.
  PathPattern(const std::string& expression, const std::string& place, ExitCode code);

  /// PEFT's rule for rank_pattern and alpha_pattern: the expression is the end of a path, behind a segment
  /// border.
  static PathPattern at_end(const std::string& expression, const std::string& place, ExitCode code);

  /// True if the whole path matches; the same error if that takes more than a million steps to find out.
  bool matches(const std::string& path) const;

 private:
  struct Compiled;
  std::shared_ptr<const Compiled> compiled_;
};

}  // namespace lora
