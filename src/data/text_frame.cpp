#include "data/text_frame.h"

#include <algorithm>
#include <string>

namespace lora {
namespace {

/// Text that tokenizers with a word mark do not merge with what follows.
constexpr std::string_view kAnchor = "\n";

}  // namespace

TextFrame::TextFrame(const Tokenizer& tokenizer) : tokenizer_(tokenizer) {
  const SpecialIds special = tokenizer.special_ids();
  bos_ = special.bos;
  if (leading_starts(tokenizer.with_special({}).ids) > 0) start_ = {*bos_};
  if (special.eos) end_ = {*special.eos};
}

std::size_t TextFrame::leading_starts(const TokenIds& ids) const {
  const auto other = std::find_if(ids.begin(), ids.end(), [&](std::int32_t id) { return bos_ != id; });
  return static_cast<std::size_t>(other - ids.begin());
}

TokenIds TextFrame::continuation(std::string_view text) const {
  if (!marks_openings()) return tokenizer_.encode(text);
  auto behind = behind_anchor(text);
  return behind ? std::move(*behind) : tokenizer_.encode(text);
}

bool TextFrame::marks_openings() const {
  std::call_once(probed_, [&] {
    anchor_ = tokenizer_.encode(kAnchor);
    const auto behind = behind_anchor("a");
    marks_openings_ = behind && *behind != tokenizer_.encode("a");
  });
  return marks_openings_;
}

/// Ids of `text` behind the anchor; none if the tokenizer merges the two.
std::optional<TokenIds> TextFrame::behind_anchor(std::string_view text) const {
  const TokenIds ids = tokenizer_.encode(std::string(kAnchor).append(text));
  if (ids.size() < anchor_.size() || !std::equal(anchor_.begin(), anchor_.end(), ids.begin()))
    return std::nullopt;
  return TokenIds(ids.begin() + static_cast<std::ptrdiff_t>(anchor_.size()), ids.end());
}

}  // namespace lora
