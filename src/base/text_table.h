#pragma once

#include <string>
#include <vector>

namespace lora {

/// Columns of text for a terminal: the first is left-aligned, the others as `left` says or to the right.
class TextTable {
 public:
  /// `left`: numbers of further columns that are left-aligned.
  explicit TextTable(std::vector<std::string> header, std::vector<std::size_t> left = {});

  /// internal error if the number of cells differs from the header's.
  void add(std::vector<std::string> cells);

  /// Lines with two spaces between columns, a rule under the header, no trailing spaces.
  std::string str() const;

 private:
  std::vector<std::vector<std::string>> lines_;
  std::vector<bool> left_;
};

}  // namespace lora
