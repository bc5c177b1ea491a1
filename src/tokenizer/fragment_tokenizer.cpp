#include "tokenizer/fragment_tokenizer.h"

#include "tokenizer/valid_text.h"

namespace lora {

TokenIds FragmentTokenizer::ids_of(Fragments fragments, SpecialText mode) const {
  TokenIds ids;
  for (Fragment& fragment : fragments) {
    if (fragment.id >= 0) {
      ids.push_back(fragment.id);
    } else {
      append_ids(std::move(fragment), mode, ids);
    }
  }
  return ids;
}

TokenIds FragmentTokenizer::encode(std::string_view text, SpecialText special) const {
  check_length(text);
  return ids_of(added_->extract(ValidText(text).view(), special), special);
}

TokenIds FragmentTokenizer::encode_inside(std::string_view text) const {
  check_length(text);
  Fragments fragments = added_->extract(ValidText(text).view(), SpecialText::plain);
  for (Fragment& fragment : fragments) fragment.at_start = false;
  return ids_of(std::move(fragments), SpecialText::plain);
}

std::vector<SpecialPart> FragmentTokenizer::split_special(std::string_view text) const {
  return added_->split_special(ValidText(text).view());
}

TokenPair FragmentTokenizer::with_special(const TokenIds& first, const TokenIds* second) const {
  return post_processor_.apply(first, second);
}

}  // namespace lora
