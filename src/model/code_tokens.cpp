#include "model/code_tokens.h"

#include <algorithm>

#include "lora/base/error.h"
#include "lora/base/text.h"

namespace lora {
namespace {

/// Traced and scripted exports stay below 10, 500 and 50.
constexpr std::size_t kMostDepth = 64, kMostOnLine = 4096, kMostBranches = 1024;
constexpr std::size_t kMostIndent = 512;
constexpr std::string_view kSigns = "+-*/%@()[]:,={}><.?!&^|~";

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool is_name_part(char c) { return is_letter(c) || is_digit(c); }

std::size_t quotes(std::string_view text) {
  return text.size() >= 3 && text[1] == text[0] && text[2] == text[0] ? 3 : 1;
}

}  // namespace

void CodeTokens::fail(const std::string& what) const {
  throw Error(ExitCode::file, cat(place_, " line ", line_, ": no TorchScript code: ", what),
              "the file is damaged or incomplete: write or copy it again");
}

void CodeTokens::end_line() {
  ++position_;
  ++line_;
  line_start_ = position_;
  if (depth_ > 0) return;
  on_line_ = 0;
  continued_ = false;
}

void CodeTokens::skip_blanks() {
  while (position_ < code_.size()) {
    const std::string_view rest = code_.substr(position_);
    if (rest[0] == '\n') {
      end_line();
    } else if (is_blank(rest[0])) {
      ++position_;
    } else if (rest[0] == '#' && !rest.starts_with("# type:")) {
      position_ = std::min(code_.find('\n', position_), code_.size());
    } else if (rest.starts_with("\\\n")) {
      ++position_;
      const std::size_t so_far = on_line_;
      end_line();
      on_line_ = so_far;
      continued_ = true;
    } else {
      return;
    }
  }
}

std::size_t CodeTokens::name_size() const {
  const std::string_view rest = code_.substr(position_);
  if (!is_letter(rest[0])) return 0;
  for (std::string_view two : {"is not", "not in"}) {
    if (rest.starts_with(two)) return two.size();
  }
  std::size_t size = 1;
  while (size < rest.size() && is_name_part(rest[size])) ++size;
  return size;
}

/// Digits with one point and an exponent, and a j behind it. What else LibTorch might read on in (hexadecimal
/// digits) begins with a letter, which next() refuses behind a number.
std::size_t CodeTokens::number_size() const {
  const std::string_view rest = code_.substr(position_);
  const auto digits = [&](std::size_t at) {
    while (at < rest.size() && is_digit(rest[at])) ++at;
    return at;
  };
  std::size_t size = digits(0);
  if (size < rest.size() && rest[size] == '.') {
    const std::size_t fraction = digits(size + 1);
    if (size == 0 && fraction == 1) return 0;
    size = fraction;
  }
  if (size == 0) return 0;
  if (size < rest.size() && (rest[size] == 'e' || rest[size] == 'E')) {
    std::size_t exponent = size + 1;
    if (exponent < rest.size() && (rest[exponent] == '+' || rest[exponent] == '-')) ++exponent;
    if (digits(exponent) > exponent) size = digits(exponent);
  }
  return size < rest.size() && rest[size] == 'j' ? size + 1 : size;
}

/// Between one or three quotes of a kind; only three may hold a line's end that is not escaped.
std::size_t CodeTokens::text_size() const {
  const std::string_view rest = code_.substr(position_);
  if (rest[0] != '"' && rest[0] != '\'') return 0;
  const std::size_t width = quotes(rest);
  const std::string_view quote = rest.substr(0, width);
  for (std::size_t at = width; at + width <= rest.size(); ++at) {
    if (rest.substr(at, width) == quote) return at + width;
    if (rest[at] == '\n' && width == 1) break;
    if (rest[at] == '\\') ++at;
  }
  fail("a text does not end");
}

/// Signs of several characters that a name might follow otherwise; the others may be taken apart.
std::size_t CodeTokens::long_sign_size() const {
  for (std::string_view sign : {"# type:", "..."}) {
    if (code_.substr(position_).starts_with(sign)) return sign.size();
  }
  return 0;
}

void CodeTokens::count(const CodeToken& token) {
  if (token.is('(') || token.is('[') || token.is('{')) ++depth_;
  if ((token.is(')') || token.is(']') || token.is('}')) && depth_ > 0) --depth_;
  if (token.is("elif") || token.is("else")) ++branches_;
  if (token.is("def")) branches_ = 0;
  if (depth_ > kMostDepth) fail(cat("brackets are nested deeper than ", kMostDepth));
  if (++on_line_ > kMostOnLine) fail(cat("a statement has more than ", kMostOnLine, " words"));
  if (branches_ > kMostBranches) fail(cat("a method has more than ", kMostBranches, " branches"));
}

CodeToken CodeTokens::next() {
  skip_blanks();
  CodeToken token;
  token.line = line_;
  if (position_ == code_.size()) return token;
  using Kind = CodeToken::Kind;
  token.starts_line = on_line_ == 0;
  token.at_margin = token.starts_line && position_ == line_start_ && !continued_;
  if (token.starts_line && position_ - line_start_ > kMostIndent)
    fail(cat("a line is indented by more than ", kMostIndent));
  std::size_t size = 1;
  if (const std::size_t number = number_size()) {
    token.kind = Kind::number;
    size = number;
    const std::size_t behind = position_ + size;
    if (behind < code_.size() && is_name_part(code_[behind])) fail("a number runs into a name");
  } else if (const std::size_t text = text_size()) {
    token.kind = Kind::text;
    size = text;
  } else if (const std::size_t name = name_size()) {
    token.kind = Kind::name;
    size = name;
  } else if (const std::size_t sign = long_sign_size()) {
    token.kind = Kind::sign;
    size = sign;
  } else if (kSigns.find(code_[position_]) != std::string_view::npos) {
    token.kind = Kind::sign;
  } else {
    fail(cat("the character ", static_cast<int>(static_cast<unsigned char>(code_[position_]))));
  }
  token.spelling = code_.substr(position_, size);
  count(token);
  for (std::size_t i = 0; i < size; ++i) {
    if (code_[position_ + i] != '\n') continue;
    ++line_;
    line_start_ = position_ + i + 1;
  }
  position_ += size;
  return token;
}

std::string text_value(std::string_view spelling) {
  const std::size_t width = quotes(spelling);
  const std::string_view text = spelling.substr(width, spelling.size() - 2 * width);
  const auto octal = [&](std::size_t at) {
    int value = 0;
    for (std::size_t i = at; i < at + 3; ++i) {
      if (i >= text.size() || text[i] < '0' || text[i] > '7') return -1;
      value = 8 * value + (text[i] - '0');
    }
    return value < 256 ? value : -1;
  };
  std::string value;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const std::size_t escaped = i + 1;
    constexpr std::string_view kNames = "\\'\"\nabfnvt", kValues = "\\'\"\n\a\b\f\n\v\t";
    if (text[i] != '\\' || escaped == text.size()) {
      value += text[i];
    } else if (const auto known = kNames.find(text[escaped]); known != std::string_view::npos) {
      value += kValues[known];
      ++i;
    } else if (const int code = octal(escaped); code >= 0) {
      value += static_cast<char>(code);
      i += 3;
    } else {
      value += text[i];
    }
  }
  return value;
}

}  // namespace lora
