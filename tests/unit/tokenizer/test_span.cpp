#include "support/catch.h"
#include "tokenizer/span.h"

using namespace lora;
using Words = std::vector<std::string>;

namespace {

/// "the-final--countdown" split at hyphens: the example of the `tokenizers` documentation.
Words split(SplitBehavior behavior) {
  const std::string text = "the-final--countdown";
  Words words;
  for (const Span& span : split_spans(char_spans(text, [](char32_t c) { return c == '-'; }), behavior))
    words.push_back(text.substr(span.begin, span.end - span.begin));
  return words;
}

}  // namespace

TEST_CASE("split: every behaviour of a match towards its neighbours") {
  CHECK(split(SplitBehavior::removed) == Words{"the", "final", "countdown"});
  CHECK(split(SplitBehavior::isolated) == Words{"the", "-", "final", "-", "-", "countdown"});
  CHECK(split(SplitBehavior::merged_with_previous) == Words{"the-", "final-", "-", "countdown"});
  CHECK(split(SplitBehavior::merged_with_next) == Words{"the", "-final", "-", "-countdown"});
  CHECK(split(SplitBehavior::contiguous) == Words{"the", "-", "final", "--", "countdown"});
}

TEST_CASE("split: an empty text has no spans") { CHECK(char_spans("", is_white_space).empty()); }
