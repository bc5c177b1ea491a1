#include "tokenizer/component.h"
#include "tokenizer/normalizer.h"

namespace lora {
namespace {

bool in(char32_t c, char32_t first, char32_t last) { return first <= c && c <= last; }

/// The blocks that BERT calls Chinese: CJK ideographs without kana and Hangul.
bool is_chinese(char32_t c) {
  return in(c, 0x4E00, 0x9FFF) || in(c, 0x3400, 0x4DBF) || in(c, 0x20000, 0x2A6DF) ||
         in(c, 0x2A700, 0x2B73F) || in(c, 0x2B740, 0x2B81F) || in(c, 0x2B920, 0x2CEAF) ||
         in(c, 0xF900, 0xFAFF) || in(c, 0x2F800, 0x2FA1F);
}

/// The text preparation of BERT: no control characters, one kind of space, spaces around ideographs, and for
/// uncased models no accents and lower case.
class BertNormalizer : public Normalizer {
 public:
  explicit BertNormalizer(const Component& component)
      : clean_(component.flag_or("clean_text", true)),
        chinese_(component.flag_or("handle_chinese_chars", true)),
        lowercase_(component.flag_or("lowercase", true)),
        strip_accents_(component.flag_or("strip_accents", lowercase_)) {}

  void apply(Fragment& fragment) const override {
    if (clean_) clean(fragment);
    if (chinese_) fragment.text = space_chinese(fragment.text);
    if (strip_accents_) {
      fragment.text = to_normal_form(fragment.text, NormalForm::nfd);
      keep_chars(fragment, [](char32_t c) { return !is_nonspacing_mark(c); });
    }
    if (lowercase_) lower_chars(fragment);
  }

 private:
  static bool is_space(char32_t c) { return c == '\t' || c == '\n' || c == '\r' || is_white_space(c); }

  static void clean(Fragment& fragment) {
    keep_chars(fragment, [](char32_t c) {
      return c == '\t' || c == '\n' || c == '\r' || (c != 0xFFFD && !is_control_like(c));
    });
    std::string spaced;
    spaced.reserve(fragment.text.size());
    for (std::size_t at = 0; at < fragment.text.size();) {
      const char32_t c = next_char(fragment.text, at);
      append_utf8(spaced, is_space(c) ? U' ' : c);
    }
    fragment.text = std::move(spaced);
  }

  static std::string space_chinese(const std::string& text) {
    std::string spaced;
    spaced.reserve(text.size());
    for (std::size_t at = 0; at < text.size();) {
      const char32_t c = next_char(text, at);
      if (is_chinese(c)) {
        spaced += ' ';
        append_utf8(spaced, c);
        spaced += ' ';
      } else {
        append_utf8(spaced, c);
      }
    }
    return spaced;
  }

  bool clean_, chinese_, lowercase_, strip_accents_;
};

}  // namespace

std::unique_ptr<Normalizer> make_bert_normalizer(const Component& component) {
  return std::make_unique<BertNormalizer>(component);
}

}  // namespace lora
