#include "tokenizer/pattern.h"

#include "tokenizer/component.h"

namespace lora {
namespace {

/// Occurrences from left to right; an empty literal occurs nowhere.
Spans literal_spans(std::string_view text, std::string_view literal) {
  Spans spans;
  std::size_t gap = 0;
  while (!literal.empty()) {
    const std::size_t found = text.find(literal, gap);
    if (found == std::string_view::npos) break;
    if (gap < found) spans.push_back({gap, found, false});
    gap = found + literal.size();
    spans.push_back({found, gap, true});
  }
  if (gap < text.size()) spans.push_back({gap, text.size(), false});
  return spans;
}

}  // namespace

Pattern Pattern::parse(const Component& owner) {
  const Component pattern = owner.child("pattern");
  if (pattern.has("String")) return Pattern(pattern.text("String"));
  if (pattern.has("Regex")) return Pattern(Regex(pattern.text("Regex"), pattern.place()));
  pattern.refuse("neither \"String\" nor \"Regex\" is given");
}

Spans Pattern::spans(std::string_view text) const {
  return regex_ ? regex_->spans(text) : literal_spans(text, literal_);
}

std::string Pattern::replace(std::string_view text, std::string_view by) const {
  std::string out;
  out.reserve(text.size());
  for (const Span& span : spans(text))
    out += span.match ? by : text.substr(span.begin, span.end - span.begin);
  return out;
}

}  // namespace lora
