#include "tokenizer/byte_level.h"
#include "tokenizer/component.h"
#include "tokenizer/pre_tokenizer.h"
#include "tokenizer/regex.h"

namespace lora {
namespace {

/// GPT-2's division into words: contractions, letters, numbers and other characters with a space before them,
/// white space (Radford et al. 2019, released encoder).
constexpr const char* kWords =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

class ByteLevel : public PreTokenizer {
 public:
  explicit ByteLevel(const Component& component)
      : prefix_space_(component.flag_or("add_prefix_space", true)),
        use_regex_(component.flag_or("use_regex", true)),
        words_(kWords, component.place()) {}

  void split(Fragment fragment, Fragments& out) const override {
    if (prefix_space_ && !fragment.text.starts_with(' ')) fragment.text.insert(0, 1, ' ');
    const Spans whole{{0, fragment.text.size(), false}};
    for (const Span& span : use_regex_ ? words_.spans(fragment.text) : whole) {
      Fragment word;
      word.at_start = fragment.at_start && span.begin == 0;
      append_byte_chars(word.text, std::string_view(fragment.text).substr(span.begin, span.end - span.begin));
      if (!word.text.empty()) out.push_back(std::move(word));
    }
  }
  bool makes_bytes() const override { return true; }

 private:
  bool prefix_space_, use_regex_;
  Regex words_;
};

}  // namespace

std::unique_ptr<PreTokenizer> make_byte_level(const Component& component) {
  return std::make_unique<ByteLevel>(component);
}

}  // namespace lora
