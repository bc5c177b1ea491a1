#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tokenizer/span.h"

namespace lora {

/// A part of an input on its way through the tokenizer.
struct Fragment {
  std::string text;
  bool at_start = false;  ///< begins with the first character of the whole input
  std::int32_t id = -1;   ///< the added token that `text` spelled, or -1
};
using Fragments = std::vector<Fragment>;

/// Appends the parts of `whole` that `kept` names; empty ones are left out.
inline void append_parts(const Fragment& whole, const Spans& kept, Fragments& out) {
  for (const Span& span : kept) {
    if (span.begin == span.end) continue;
    out.push_back({whole.text.substr(span.begin, span.end - span.begin), whole.at_start && span.begin == 0});
  }
}

}  // namespace lora
