#include "tokenizer/normalizer.h"

#include "tokenizer/component.h"
#include "tokenizer/pattern.h"

namespace lora {
namespace {

template <NormalForm form>
class UnicodeNormalizer : public Normalizer {
 public:
  void apply(Fragment& fragment) const override { fragment.text = to_normal_form(fragment.text, form); }
};

class Lowercase : public Normalizer {
 public:
  void apply(Fragment& fragment) const override { lower_chars(fragment); }
};

class StripAccents : public Normalizer {
 public:
  void apply(Fragment& fragment) const override {
    keep_chars(fragment, [](char32_t c) { return !is_combining_mark(c); });
  }
};

/// Removes white space from the ends.
class Strip : public Normalizer {
 public:
  explicit Strip(const Component& component)
      : left_(component.flag_or("strip_left", true)), right_(component.flag_or("strip_right", true)) {}
  void apply(Fragment& fragment) const override {
    const std::string& text = fragment.text;
    std::size_t begin = 0, end = text.size();
    for (std::size_t at = 0; left_ && at < end && is_white_space(next_char(text, at));) begin = at;
    while (right_ && begin < end) {
      std::size_t at = char_begin(text, end);
      const std::size_t last = at;
      if (!is_white_space(next_char(text, at))) break;
      end = last;
    }
    fragment.at_start &= begin == 0;
    fragment.text = text.substr(begin, end - begin);
  }

 private:
  bool left_, right_;
};

class Prepend : public Normalizer {
 public:
  explicit Prepend(const Component& component) : text_(component.text("prepend")) {}
  void apply(Fragment& fragment) const override {
    if (!fragment.text.empty()) fragment.text.insert(0, text_);
  }

 private:
  std::string text_;
};

class Replace : public Normalizer {
 public:
  explicit Replace(const Component& component)
      : pattern_(Pattern::parse(component)), by_(component.text("content")) {}
  void apply(Fragment& fragment) const override {
    if (fragment.at_start) fragment.at_start = keeps_start(fragment.text);
    fragment.text = pattern_.replace(fragment.text, by_);
  }

 private:
  /// What replaces several characters stands where the last of them stood.
  bool keeps_start(std::string_view text) const {
    const Spans spans = pattern_.spans(text);
    if (spans.empty() || !spans.front().match) return true;
    return !by_.empty() && count_chars(text.substr(0, spans.front().end)) <= 1;
  }

  Pattern pattern_;
  std::string by_;
};

/// How many times as long a sequence of normalizers may make a text.
constexpr std::size_t kMostGrowth = 64;

class NormalizerSequence : public Normalizer {
 public:
  explicit NormalizerSequence(const Component& component) {
    for (const Component& part : component.children("normalizers")) parts_.push_back(make_normalizer(part));
  }
  void apply(Fragment& fragment) const override {
    const std::size_t before = fragment.text.size();
    for (const auto& part : parts_) {
      part->apply(fragment);
      check_growth(before, fragment.text.size(), kMostGrowth);
    }
  }

 private:
  std::vector<std::unique_ptr<Normalizer>> parts_;
};

constexpr Maker<Normalizer> kNormalizers[] = {
    {"BertNormalizer", make_bert_normalizer},
    {"Lowercase", make_from<Normalizer, Lowercase>},
    {"NFC", make_from<Normalizer, UnicodeNormalizer<NormalForm::nfc>>},
    {"NFD", make_from<Normalizer, UnicodeNormalizer<NormalForm::nfd>>},
    {"NFKC", make_from<Normalizer, UnicodeNormalizer<NormalForm::nfkc>>},
    {"NFKD", make_from<Normalizer, UnicodeNormalizer<NormalForm::nfkd>>},
    {"Precompiled", make_precompiled_normalizer},
    {"Prepend", make_from<Normalizer, Prepend>},
    {"Replace", make_from<Normalizer, Replace>},
    {"Sequence", make_from<Normalizer, NormalizerSequence>},
    {"Strip", make_from<Normalizer, Strip>},
    {"StripAccents", make_from<Normalizer, StripAccents>},
};

}  // namespace

std::unique_ptr<Normalizer> make_normalizer(const Component& component) {
  return make_kind(component, kNormalizers);
}

void lower_chars(Fragment& fragment) {
  std::string lower;
  lower.reserve(fragment.text.size());
  for (std::size_t at = 0; at < fragment.text.size();) append_lower(lower, next_char(fragment.text, at));
  fragment.text = std::move(lower);
}

}  // namespace lora
