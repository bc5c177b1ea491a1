#include "eval/text_stream.h"

#include <ostream>

#include "lora/base/text.h"

namespace lora {

void TextStream::print(const std::string& text) {
  if (text.size() <= printed_) return;
  const std::string added = text.substr(printed_);
  printed_ = text.size();
  const std::vector<std::string> lines = split(added, '\n');
  for (std::size_t i = 0; i < lines.size(); ++i) out_ << (i > 0 ? "\n" : "") << printable(lines[i]);
  out_ << std::flush;
}

void TextStream::finish(const TokenIds& answer) {
  print(writer_.text(answer));
  out_ << std::endl;
}

}  // namespace lora
