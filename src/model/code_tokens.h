#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace lora {

/// One token of TorchScript source.
struct CodeToken {
  enum class Kind { name, text, number, sign, end } kind = Kind::end;
  std::string_view spelling;
  std::size_t line = 0;
  bool starts_line = false;
  bool at_margin = false;  ///< it starts a line without indentation: a definition of the file begins here

  bool is(char sign) const { return kind == Kind::sign && spelling.size() == 1 && spelling[0] == sign; }
  bool is(std::string_view name) const { return kind == Kind::name && spelling == name; }
};

/// Cuts source into the tokens that LibTorch's lexer finds (torch/csrc/jit/frontend/lexer.h), oddities
/// included: "# type:" is no comment, and "not in" ends where its letters end, so that `not intorch` holds
/// the name `torch`. Nothing is kept but the position.
///
/// file error, which begins with `place`, for what is no source (another character, a text that does not
/// end), and for brackets or lines so deep and long that LibTorch's recursive parser might run out of stack.
class CodeTokens {
 public:
  CodeTokens(std::string_view code, const std::string& place) : code_(code), place_(place) {}

  /// The next token; Kind::end at the end, as often as it is asked for.
  CodeToken next();

  /// file error at the line reached.
  [[noreturn]] void fail(const std::string& what) const;

 private:
  void skip_blanks();
  void end_line();
  std::size_t name_size() const;
  std::size_t number_size() const;
  std::size_t text_size() const;
  std::size_t long_sign_size() const;
  void count(const CodeToken& token);

  std::string_view code_;
  const std::string& place_;
  std::size_t position_ = 0, line_ = 1, line_start_ = 0;
  std::size_t depth_ = 0, on_line_ = 0, branches_ = 0;
  bool continued_ = false;  ///< the line before ended in a backslash
};

/// The value of a text token. Escapes that LibTorch refuses stay as they are.
std::string text_value(std::string_view spelling);

}  // namespace lora
