#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "tokenizer/span.h"

namespace lora {

/// Rewrites a pattern in Oniguruma's syntax, which tokenizer.json uses, for PCRE2. Throws
/// std::invalid_argument naming the construct if the two languages differ in it.
std::string onig_to_pcre2(std::string_view pattern);

/// A compiled regular expression over Unicode. Thread-safe.
class Regex {
 public:
  /// `pattern` in Oniguruma's syntax; file error naming `place` if it is malformed or not supported.
  Regex(const std::string& pattern, const std::string& place);

  /// Matches from left to right and the gaps between them; data error if a text makes matching explode.
  Spans spans(std::string_view text) const;

 private:
  struct Code;
  std::shared_ptr<const Code> code_;
  std::string place_;
};

}  // namespace lora
