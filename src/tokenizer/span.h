#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include "tokenizer/unicode.h"

namespace lora {

/// Bytes [begin, end) of a text; `match` tells whether a pattern matched there.
struct Span {
  std::size_t begin, end;
  bool match;
};
/// Spans that follow each other without gaps and cover a text.
using Spans = std::vector<Span>;

/// Every character that `matches` accepts is a span of its own, what lies between two of them is one span.
template <class Predicate>
Spans char_spans(std::string_view text, Predicate matches) {
  Spans spans;
  std::size_t gap = 0;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t begin = at;
    if (!matches(next_char(text, at))) continue;
    if (gap < begin) spans.push_back({gap, begin, false});
    spans.push_back({begin, at, true});
    gap = at;
  }
  if (gap < text.size()) spans.push_back({gap, text.size(), false});
  return spans;
}

/// What becomes of the matches when a text is split at them.
enum class SplitBehavior { removed, isolated, merged_with_previous, merged_with_next, contiguous };

/// The spans that are kept, with matches joined to their neighbours as `behavior` says.
Spans split_spans(const Spans& spans, SplitBehavior behavior);

}  // namespace lora
