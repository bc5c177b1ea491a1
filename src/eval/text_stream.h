#pragma once

#include <functional>
#include <iosfwd>
#include <string>

#include "eval/writer.h"

namespace lora {

/// Prints an answer while it is written.
class TextStream {
 public:
  TextStream(const Writer& writer, std::ostream& out) : writer_(writer), out_(out) {}

  /// What is new and certain.
  void update(const TokenIds& answer) { print(writer_.settled_text(answer)); }
  /// The rest, and the end of the line.
  void finish(const TokenIds& answer);

 private:
  void print(const std::string& text);

  const Writer& writer_;
  std::ostream& out_;
  std::size_t printed_ = 0;
};

}  // namespace lora
