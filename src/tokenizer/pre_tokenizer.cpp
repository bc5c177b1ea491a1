#include "tokenizer/pre_tokenizer.h"

#include <optional>

#include "tokenizer/component.h"
#include "tokenizer/pattern.h"

namespace lora {
namespace {

bool is_bert_punctuation(char32_t c) {
  const bool ascii_symbol = c < 0x80 && c > ' ' && c != 0x7F && (!is_word_char(c) || c == '_');
  return ascii_symbol || is_punctuation(c);
}

SplitBehavior read_behavior(const Component& component, std::optional<SplitBehavior> fallback = {}) {
  if (fallback && !component.has("behavior")) return *fallback;
  const std::string name = component.text("behavior");
  if (name == "Removed") return SplitBehavior::removed;
  if (name == "Isolated") return SplitBehavior::isolated;
  if (name == "MergedWithPrevious") return SplitBehavior::merged_with_previous;
  if (name == "MergedWithNext") return SplitBehavior::merged_with_next;
  if (name == "Contiguous") return SplitBehavior::contiguous;
  component.refuse(cat("the behavior \"", printable(name), "\" is not supported"),
                   "supported: Removed, Isolated, MergedWithPrevious, MergedWithNext, Contiguous");
}

/// Splits at every character that a predicate accepts.
class CharSplit : public PreTokenizer {
 public:
  using Predicate = bool (*)(char32_t);
  CharSplit(Predicate matches, SplitBehavior behavior) : matches_(matches), behavior_(behavior) {}

  void split(Fragment fragment, Fragments& out) const override {
    append_parts(fragment, split_spans(char_spans(fragment.text, matches_), behavior_), out);
  }

 private:
  Predicate matches_;
  SplitBehavior behavior_;
};

class WhitespaceSplit : public CharSplit {
 public:
  WhitespaceSplit() : CharSplit(is_white_space, SplitBehavior::removed) {}
};

class Punctuation : public CharSplit {
 public:
  explicit Punctuation(const Component& component)
      : CharSplit(is_bert_punctuation, read_behavior(component, SplitBehavior::isolated)) {}
};

class Digits : public CharSplit {
 public:
  explicit Digits(const Component& component)
      : CharSplit(is_number, component.flag_or("individual_digits", false) ? SplitBehavior::isolated
                                                                           : SplitBehavior::contiguous) {}
};

/// Words between white space, with every punctuation character on its own.
class BertPreTokenizer : public PreTokenizer {
 public:
  void split(Fragment fragment, Fragments& out) const override {
    Fragments words;
    append_parts(fragment, split_spans(char_spans(fragment.text, is_white_space), SplitBehavior::removed),
                 words);
    for (const Fragment& word : words) append_parts(word, char_spans(word.text, is_bert_punctuation), out);
  }
};

/// Runs of word characters and runs of other characters that are not white space: \w+|[^\w\s]+.
class Whitespace : public PreTokenizer {
 public:
  void split(Fragment fragment, Fragments& out) const override {
    Fragments runs;
    append_parts(fragment, split_spans(char_spans(fragment.text, is_white_space), SplitBehavior::removed),
                 runs);
    for (const Fragment& run : runs)
      append_parts(run, split_spans(char_spans(run.text, is_word_char), SplitBehavior::contiguous), out);
  }
};

/// Splits at a literal text or a regular expression.
class Split : public PreTokenizer {
 public:
  explicit Split(const Component& component)
      : pattern_(Pattern::parse(component)),
        behavior_(read_behavior(component)),
        invert_(component.flag_or("invert", false)) {}
  void split(Fragment fragment, Fragments& out) const override {
    Spans spans = pattern_.spans(fragment.text);
    for (Span& span : spans) span.match ^= invert_;
    append_parts(fragment, split_spans(spans, behavior_), out);
  }

 private:
  Pattern pattern_;
  SplitBehavior behavior_;
  bool invert_;
};

class DelimiterSplit : public PreTokenizer {
 public:
  explicit DelimiterSplit(const Component& component) : delimiter_(component.character("delimiter")) {}
  void split(Fragment fragment, Fragments& out) const override {
    const auto spans = char_spans(fragment.text, [this](char32_t c) { return c == delimiter_; });
    append_parts(fragment, split_spans(spans, SplitBehavior::removed), out);
  }

 private:
  char32_t delimiter_;
};

class PreTokenizerSequence : public PreTokenizer {
 public:
  explicit PreTokenizerSequence(const Component& component) {
    for (const Component& part : component.children("pretokenizers"))
      parts_.push_back(make_pre_tokenizer(part));
  }
  void split(Fragment fragment, Fragments& out) const override {
    Fragments words;
    words.push_back(std::move(fragment));
    for (const auto& part : parts_) {
      Fragments finer;
      for (Fragment& word : words) part->split(std::move(word), finer);
      words = std::move(finer);
    }
    std::move(words.begin(), words.end(), std::back_inserter(out));
  }

  bool makes_bytes() const override {
    for (const auto& part : parts_) {
      if (part->makes_bytes()) return true;
    }
    return false;
  }

 private:
  std::vector<std::unique_ptr<PreTokenizer>> parts_;
};

constexpr Maker<PreTokenizer> kPreTokenizers[] = {
    {"BertPreTokenizer", make_from<PreTokenizer, BertPreTokenizer>},
    {"ByteLevel", make_byte_level},
    {"CharDelimiterSplit", make_from<PreTokenizer, DelimiterSplit>},
    {"Digits", make_from<PreTokenizer, Digits>},
    {"Metaspace", make_metaspace},
    {"Punctuation", make_from<PreTokenizer, Punctuation>},
    {"Sequence", make_from<PreTokenizer, PreTokenizerSequence>},
    {"Split", make_from<PreTokenizer, Split>},
    {"Whitespace", make_from<PreTokenizer, Whitespace>},
    {"WhitespaceSplit", make_from<PreTokenizer, WhitespaceSplit>},
};

}  // namespace

std::unique_ptr<PreTokenizer> make_pre_tokenizer(const Component& component) {
  return make_kind(component, kPreTokenizers);
}

}  // namespace lora
