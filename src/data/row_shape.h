#pragma once

#include <string>
#include <vector>

#include "data/row_fields.h"
#include "lora/data/example.h"

namespace lora {

/// A kind of row, known by the fields it has.
struct RowShape {
  std::vector<std::string> required, optional;
  Content (*read)(const RowFields& row);

  /// "text, label[, text_pair]".
  std::string name() const;
  bool fits(const RowFields& row) const;
};

/// All shapes; of several that fit a row the first one counts.
const std::vector<RowShape>& row_shapes();

/// Names that can be mapped: the fields of all shapes, and role and content of messages.
std::vector<std::string> standard_fields();

/// The shape of a row. Data error listing the shapes and the nearest field names if none fits.
const RowShape& shape_of(const RowFields& row);

/// Names in the row that its shape does not use.
std::vector<std::string> unused_fields(const RowShape& shape, const RowFields& row);

}  // namespace lora
