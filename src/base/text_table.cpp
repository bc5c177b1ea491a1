#include "base/text_table.h"

#include <algorithm>

#include "lora/base/error.h"
#include "lora/base/text.h"

namespace lora {
namespace {

/// Code points of valid UTF-8, which is what a terminal shows of the text in these tables.
std::size_t width(const std::string& text) {
  return static_cast<std::size_t>(std::count_if(
      text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

}  // namespace

TextTable::TextTable(std::vector<std::string> header, std::vector<std::size_t> left)
    : left_(header.size(), false) {
  left_.front() = true;
  for (std::size_t column : left) left_.at(column) = true;
  lines_.push_back(std::move(header));
}

void TextTable::add(std::vector<std::string> cells) {
  if (cells.size() != left_.size()) {
    throw Error(ExitCode::internal, cat("table: ", cells.size(), " cells in a row of ", left_.size()));
  }
  for (std::string& cell : cells) cell = printable(cell);
  lines_.push_back(std::move(cells));
}

std::string TextTable::str() const {
  std::vector<std::size_t> widths(left_.size(), 0);
  for (const auto& line : lines_) {
    for (std::size_t i = 0; i < line.size(); ++i) widths[i] = std::max(widths[i], width(line[i]));
  }
  const auto print = [&](const std::vector<std::string>& line) {
    std::string text;
    for (std::size_t i = 0; i < line.size(); ++i) {
      const std::string gap(widths[i] - width(line[i]), ' ');
      text += (i ? "  " : "") + (left_[i] ? line[i] + gap : gap + line[i]);
    }
    text.erase(text.find_last_not_of(' ') + 1);
    return text + "\n";
  };
  std::string text = print(lines_.front());
  std::size_t total = 0;
  for (std::size_t one : widths) total += one + 2;
  text += std::string(total - 2, '-') + "\n";
  for (std::size_t i = 1; i < lines_.size(); ++i) text += print(lines_[i]);
  return text;
}

}  // namespace lora
