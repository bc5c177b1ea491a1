#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace lora {

/// One row of a data file as text, not yet parsed.
struct RawRow {
  std::int64_t number = 0;  ///< 1-based: line of a JSONL file, element of an array
  std::int64_t line = 0;    ///< 1-based line where it begins
  std::string_view text;    ///< with its indentation, so that columns are those of the file
};

/// Splits a data file into rows, one at a time: the elements of a JSON array if the first character is '[',
/// the lines that are not blank otherwise. A byte-order mark is skipped. Only the frame is checked here: data
/// error for an array that is not closed, a trailing comma, or text behind the array.
class RowSource {
 public:
  /// `bytes` must outlive the source; `name` is for messages.
  RowSource(std::string_view bytes, std::string name);

  bool is_array() const { return is_array_; }
  std::optional<RawRow> next() { return is_array_ ? next_element() : next_line(); }

 private:
  std::optional<RawRow> next_line();
  std::optional<RawRow> next_element();
  void skip_space();
  std::string_view take_element();
  void close_array();
  [[noreturn]] void refuse(const std::string& what) const;

  std::string_view bytes_;
  std::string name_;
  std::size_t position_ = 0;
  std::int64_t line_ = 1;    ///< line of position_
  std::int64_t number_ = 0;  ///< of the row given last
  bool is_array_ = false, closed_ = false;
};

}  // namespace lora
