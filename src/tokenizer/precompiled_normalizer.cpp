#include <stdexcept>

#include "tokenizer/charsmap.h"
#include "tokenizer/component.h"
#include "tokenizer/normalizer.h"

namespace lora {
namespace {

/// Longest grapheme cluster, in bytes, that is looked up as a whole; a rule of the `tokenizers` package.
constexpr std::size_t kLongestWhole = 5;

CharsMap read_map(const Component& component) {
  try {
    return CharsMap(decode_base64(component.text("precompiled_charsmap")));
  } catch (const std::invalid_argument& wrong) {
    component.refuse(cat("\"precompiled_charsmap\" is damaged: ", wrong.what()));
  }
}

/// SentencePiece's normalisation by table, as `tokenizers` applies it: a short grapheme cluster is replaced
/// as a whole by what its beginning maps to, longer ones a character at a time.
class PrecompiledNormalizer : public Normalizer {
 public:
  explicit PrecompiledNormalizer(const Component& component) : map_(read_map(component)) {}

  void apply(Fragment& fragment) const override {
    const std::string_view text = fragment.text;
    std::string out;
    out.reserve(text.size());
    for (std::size_t begin = 0; begin < text.size();) {
      const std::size_t end = grapheme_end(text, begin);
      append_grapheme(out, text.substr(begin, end - begin));
      begin = end;
    }
    fragment.text = std::move(out);
  }

 private:
  void append_grapheme(std::string& out, std::string_view grapheme) const {
    if (grapheme.size() <= kLongestWhole) {
      if (const auto replaced = map_.find(grapheme)) {
        out += *replaced;
        return;
      }
    }
    for (std::size_t at = 0; at < grapheme.size();) {
      const std::size_t begin = at;
      next_char(grapheme, at);
      const std::string_view c = grapheme.substr(begin, at - begin);
      out += map_.find(c).value_or(c);
    }
  }

  CharsMap map_;
};

}  // namespace

std::unique_ptr<Normalizer> make_precompiled_normalizer(const Component& component) {
  return std::make_unique<PrecompiledNormalizer>(component);
}

}  // namespace lora
