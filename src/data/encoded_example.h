#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "lora/data/encode.h"

namespace lora {

/// What one example became: usually one row; several windows of a long text; none if it was dropped.
struct EncodedExample {
  std::vector<EncodedRow> rows;
  std::int64_t cut_tokens = 0;
  bool too_long = false;  ///< why there is no row; no labelled token otherwise
};

/// An example of `size` ids that is dropped because they do not fit; data error under Overlong::error.
EncodedExample too_long(std::size_t size, const EncodeOptions& options);

}  // namespace lora
