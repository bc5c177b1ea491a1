#pragma once

#include <string>
#include <string_view>

#include "lora/base/text.h"
#include "tokenizer/unicode.h"

namespace lora {

/// A view of a text that is certainly UTF-8: of the text itself, or of a copy in which U+FFFD stands for what
/// was malformed. The original must live as long as the view is used.
class ValidText {
 public:
  explicit ValidText(std::string_view text) : view_(text) {
    if (is_valid_utf8(text)) return;
    repaired_ = replace_invalid_utf8(text);
    view_ = repaired_;
  }
  ValidText(const ValidText&) = delete;
  ValidText& operator=(const ValidText&) = delete;

  std::string_view view() const { return view_; }

 private:
  std::string repaired_;
  std::string_view view_;
};

}  // namespace lora
