#include "tokenizer/span.h"

#include <algorithm>

namespace lora {
namespace {

Spans only_gaps(const Spans& spans) {
  Spans kept;
  std::copy_if(spans.begin(), spans.end(), std::back_inserter(kept),
               [](const Span& span) { return !span.match; });
  return kept;
}

/// Joins each span to the one before it where `joins(previous is match, this is match)`.
template <class Joins>
Spans join_spans(const Spans& spans, Joins joins) {
  Spans kept;
  bool previous = false;
  for (const Span& span : spans) {
    if (!kept.empty() && joins(previous, span.match)) {
      kept.back().end = span.end;
    } else {
      kept.push_back(span);
    }
    previous = span.match;
  }
  return kept;
}

/// A match begins a new span, which takes in the gap behind it; of several matches in a row the last does.
Spans join_to_next(const Spans& spans) {
  Spans kept;
  bool next = false;
  for (auto span = spans.rbegin(); span != spans.rend(); ++span) {
    if (!kept.empty() && span->match && !next) {
      kept.back().begin = span->begin;
    } else {
      kept.push_back(*span);
    }
    next = span->match;
  }
  std::reverse(kept.begin(), kept.end());
  return kept;
}

}  // namespace

Spans split_spans(const Spans& spans, SplitBehavior behavior) {
  switch (behavior) {
    case SplitBehavior::removed:
      return only_gaps(spans);
    case SplitBehavior::isolated:
      return spans;
    case SplitBehavior::contiguous:
      return join_spans(spans, [](bool a, bool b) { return a == b; });
    case SplitBehavior::merged_with_previous:
      return join_spans(spans, [](bool a, bool b) { return !a && b; });
    case SplitBehavior::merged_with_next:
      return join_to_next(spans);
  }
  return spans;
}

}  // namespace lora
