#include <algorithm>
#include <array>
#include <cctype>
#include <stdexcept>

#include "lora/base/text.h"
#include "tokenizer/regex.h"

namespace lora {
namespace {

// Members of character classes as Oniguruma understands them; PCRE2's own \s has U+180E, its \w no marks.
constexpr std::string_view kSpace = "\\x09-\\x0D\\x85\\p{Z}";
constexpr std::string_view kWord = "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}";
// Outside of brackets Oniguruma looks Latin-1 up in another table, in which fractions and raised digits are
// words.
constexpr std::string_view kBareWord = "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\xB2\\xB3\\xB9\\xBC-\\xBE";
constexpr std::string_view kHex = "0-9a-fA-F";

/// Escapes that mean the same everywhere.
constexpr std::string_view kSameEscapes = "dDtnrfae";

/// Long names of properties that are no scripts, and PCRE2's names for them.
constexpr std::array<std::pair<std::string_view, std::string_view>, 10> kProperties{{
    {"Letter", "L"},
    {"Mark", "M"},
    {"Number", "N"},
    {"Punctuation", "P"},
    {"Symbol", "S"},
    {"Separator", "Z"},
    {"Other", "C"},
    {"Uppercase_Letter", "Lu"},
    {"Lowercase_Letter", "Ll"},
    {"White_Space", "White_Space"},
}};

/// One pass over a pattern that copies what means the same in both languages.
class Rewriter {
 public:
  explicit Rewriter(std::string_view pattern) : in_(pattern) {}

  std::string run() {
    while (at_ < in_.size()) step();
    return std::move(out_);
  }

 private:
  [[noreturn]] static void refuse(std::string_view what) {
    throw std::invalid_argument(cat("\"", what, "\" is not supported"));
  }
  bool ahead(std::string_view text) const { return in_.substr(at_).starts_with(text); }
  void copy(std::size_t count) {
    out_ += in_.substr(at_, count);
    at_ = std::min(at_ + count, in_.size());
  }
  void replace(std::size_t count, std::string_view by) {
    out_ += by;
    at_ += count;
  }

  void step() {
    switch (in_[at_]) {
      case '\\':
        return escape();
      case '[':
        return open_class();
      case '(':
        return group();
      case '{':
        return interval();
      default:
        return copy(1);
    }
  }

  void escape() {
    if (at_ + 1 == in_.size()) throw std::invalid_argument("it ends in a backslash");
    const char kind = in_[at_ + 1];
    const bool is_letter_or_digit = std::isalnum(static_cast<unsigned char>(kind)) != 0;
    if (!is_letter_or_digit || kSameEscapes.find(kind) != kSameEscapes.npos) return copy(2);
    switch (kind) {
      case 's':
      case 'S':
        return set(kSpace, kind == 'S');
      case 'w':
      case 'W':
        return set(in_class_ ? kWord : kBareWord, kind == 'W');
      case 'h':
      case 'H':
        return set(kHex, kind == 'H');
      case 'p':
      case 'P':
        return property();
      case 'b':
      case 'B':
        return boundary(kind == 'b');
      case 'A':
      case 'z':
      case 'Z':
        return anchor();
      case 'u':
        return code_point();
      case 'v':
        return replace(2, "\\x0B");
      case 'x':
        return hex();
      default:
        refuse(in_.substr(at_, 2));
    }
  }

  void anchor() {
    if (in_class_) refuse(in_.substr(at_, 2));
    copy(2);
  }

  /// \xE2 is a byte in Oniguruma and a character in PCRE2.
  void hex() {
    if (!ahead("\\x{") && at_ + 2 < in_.size() && in_[at_ + 2] > '7') refuse(in_.substr(at_, 4));
    copy(2);
  }

  /// A set escape: its members inside a class, a class of its own outside.
  void set(std::string_view members, bool negated) {
    if (!in_class_) return replace(2, cat(negated ? "[^" : "[", members, "]"));
    if (!negated) return replace(2, members);
    if (members != kSpace) refuse(cat(in_.substr(at_, 2), " inside a class"));
    replace(2, "\\S\\x{180E}");
  }

  void boundary(bool at_boundary) {
    if (in_class_) {
      if (!at_boundary) refuse("\\B inside a class");
      return replace(2, "\\x08");
    }
    const std::string before = cat("(?<=[", kBareWord, "])"), not_before = cat("(?<![", kBareWord, "])");
    const std::string after = cat("(?=[", kBareWord, "])"), not_after = cat("(?![", kBareWord, "])");
    replace(2, at_boundary ? cat("(?:", before, not_after, "|", not_before, after, ")")
                           : cat("(?:", before, after, "|", not_before, not_after, ")"));
  }

  void code_point() {
    const std::string_view digits = in_.substr(at_ + 2, 4);
    const bool hex = digits.size() == 4 && std::all_of(digits.begin(), digits.end(),
                                                       [](unsigned char c) { return std::isxdigit(c) != 0; });
    if (!hex) refuse("\\u without four hexadecimal digits");
    replace(6, cat("\\x{", digits, "}"));
  }

  void property() {
    const std::size_t end = in_.find('}', at_);
    if (at_ + 2 >= in_.size() || in_[at_ + 2] != '{' || end == std::string_view::npos)
      refuse("\\p without a name in braces");
    std::string_view name = in_.substr(at_ + 3, end - at_ - 3);
    const bool negated = name.starts_with('^');
    if (negated) name.remove_prefix(1);
    const bool plain = (in_[at_ + 1] == 'p') != negated;
    replace(end + 1 - at_, cat(plain ? "\\p{" : "\\P{", property_name(name), "}"));
  }

  static std::string property_name(std::string_view name) {
    if (name.empty() || !std::all_of(name.begin(), name.end(),
                                     [](unsigned char c) { return std::isalpha(c) != 0 || c == '_'; }))
      refuse(cat("\\p{", name, "}"));
    if (name.size() <= 2) return std::string(name);
    for (const auto& [known, meaning] : kProperties) {
      if (known == name) return std::string(meaning);
    }
    return cat("sc:", name);  // PCRE2 would take a bare name as script extensions
  }

  void open_class() {
    // A literal bracket in PCRE2, a class inside a class (or a POSIX name) in Oniguruma.
    if (in_class_) refuse("[ inside a class");
    in_class_ = true;
    copy(ahead("[^") ? 2 : 1);
    if (ahead("]")) copy(1);
    while (at_ < in_.size() && in_[at_] != ']') {
      if (ahead("&&")) refuse("&& inside a class");
      if (in_[at_] == '\\' || in_[at_] == '[') {
        step();
      } else {
        copy(1);
      }
    }
    in_class_ = false;
    copy(1);
  }

  void group() {
    if (ahead("(*")) refuse("(*");
    if (!ahead("(?")) return copy(1);
    for (const std::string_view same : {"(?:", "(?=", "(?!", "(?>", "(?<=", "(?<!"}) {
      if (ahead(same)) return copy(same.size());
    }
    if (ahead("(?i:") || ahead("(?-i:")) return copy(2);
    // An option without a group reaches over the next "|" in PCRE2 only, unless nothing stands before it.
    if (ahead("(?i)") && at_ == 0) return copy(4);
    refuse(in_.substr(at_, 4));
  }

  /// "{n,m}+" and "{n}?" repeat a repetition in Oniguruma and are possessive and lazy in PCRE2.
  void interval() {
    const std::size_t end = in_.find('}', at_);
    const std::string_view body = end == std::string_view::npos ? "" : in_.substr(at_ + 1, end - at_ - 1);
    const bool is_interval = !body.empty() && body != "," &&
                             body.find_first_not_of("0123456789,") == body.npos &&
                             std::count(body.begin(), body.end(), ',') <= 1;
    if (!is_interval) return copy(1);
    const char next = end + 1 < in_.size() ? in_[end + 1] : '\0';
    const bool exact = body.find(',') == body.npos;
    if (next == '+' || (next == '?' && exact)) refuse(in_.substr(at_, end + 2 - at_));
    replace(end + 1 - at_, cat("{", body.starts_with(',') ? "0" : "", body, "}"));
  }

  std::string_view in_;
  std::size_t at_ = 0;
  bool in_class_ = false;
  std::string out_;
};

}  // namespace

std::string onig_to_pcre2(std::string_view pattern) { return Rewriter(pattern).run(); }

}  // namespace lora
