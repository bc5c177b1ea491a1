#include "data/row_source.h"

#include <algorithm>
#include <utility>

#include "lora/base/error.h"
#include "lora/base/text.h"

namespace lora {
namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
constexpr std::string_view kJsonSpace = " \t\r\n";

std::string_view without_mark(std::string_view bytes) {
  return bytes.starts_with(kByteOrderMark) ? bytes.substr(kByteOrderMark.size()) : bytes;
}

bool opens(char c) { return c == '{' || c == '['; }
bool closes(char c) { return c == '}' || c == ']'; }

}  // namespace

RowSource::RowSource(std::string_view bytes, std::string name)
    : bytes_(without_mark(bytes)), name_(std::move(name)) {
  const std::size_t first = bytes_.find_first_not_of(kJsonSpace);
  is_array_ = first != std::string_view::npos && bytes_[first] == '[';
  if (!is_array_) return;
  skip_space();
  ++position_;
}

std::optional<RawRow> RowSource::next_line() {
  while (position_ < bytes_.size()) {
    const std::size_t end = std::min(bytes_.find('\n', position_), bytes_.size());
    const std::string_view text = bytes_.substr(position_, end - position_);
    position_ = end + 1;
    number_ = line_++;
    const std::size_t last = text.find_last_not_of(kJsonSpace);
    if (last != std::string_view::npos) return RawRow{number_, number_, text.substr(0, last + 1)};
  }
  return std::nullopt;
}

std::optional<RawRow> RowSource::next_element() {
  if (closed_) return std::nullopt;
  skip_space();
  if (position_ < bytes_.size() && bytes_[position_] == ']') {
    if (number_ > 0) refuse("a comma stands before the end of the array");
    close_array();
    return std::nullopt;
  }
  RawRow row{++number_, line_, {}};
  row.text = take_element();
  if (bytes_[position_] == ']')
    close_array();
  else
    ++position_;
  return row;
}

void RowSource::skip_space() {
  for (; position_ < bytes_.size() && kJsonSpace.find(bytes_[position_]) != std::string_view::npos;
       ++position_) {
    line_ += bytes_[position_] == '\n';
  }
}

/// Moves to the comma or bracket that ends the element at position_.
std::string_view RowSource::take_element() {
  std::size_t begin = position_;
  while (begin > 0 && (bytes_[begin - 1] == ' ' || bytes_[begin - 1] == '\t')) --begin;
  std::size_t depth = 0;
  bool in_string = false;
  for (; position_ < bytes_.size(); ++position_) {
    const char c = bytes_[position_];
    line_ += c == '\n';
    if (in_string) {
      if (c == '\\') ++position_;
      in_string = c != '"';
    } else if (c == '"') {
      in_string = true;
    } else if (depth == 0 && (c == ',' || c == ']')) {
      return bytes_.substr(begin, position_ - begin);
    } else if (opens(c)) {
      ++depth;
    } else if (closes(c) && depth > 0) {
      --depth;
    }
  }
  refuse(cat("the array is not closed: its element ", number_, " does not end"));
}

void RowSource::close_array() {
  closed_ = true;
  ++position_;
  skip_space();
  if (position_ < bytes_.size()) {
    refuse(cat("text follows the array, near ", printable(bytes_.substr(position_, 30))));
  }
}

void RowSource::refuse(const std::string& what) const {
  throw Error(ExitCode::data, cat(name_, " line ", line_, ": malformed JSON: ", what),
              "a data file is one JSON array of objects, or one JSON object on every line");
}

}  // namespace lora
