#include "tokenizer/pattern.h"

#include <algorithm>

#include "lora/base/error.h"
#include "lora/base/text.h"
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

constexpr std::size_t kFreeBytes = 64 << 10, kMostGrowth = 16;

}  // namespace

void check_growth(std::size_t before, std::size_t after, std::size_t most) {
  if (after <= kFreeBytes + most * before) return;
  throw Error(ExitCode::file,
              cat("the tokenizer makes ", after, " bytes of a text of ", before, " by replacing"));
}

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
  const Spans found = spans(text);
  const auto matches = std::count_if(found.begin(), found.end(), [](const Span& span) { return span.match; });
  check_growth(text.size(), static_cast<std::size_t>(matches) * by.size(), kMostGrowth);
  std::string out;
  out.reserve(text.size());
  for (const Span& span : found) out += span.match ? by : text.substr(span.begin, span.end - span.begin);
  return out;
}

}  // namespace lora
