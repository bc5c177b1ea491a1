#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "eval/loaded_model.h"

namespace lora {

/// Rows and tokens of a timed batch.
struct BatchShape {
  std::int64_t rows = 1, tokens = 1;

  std::string text() const;  ///< "1 x 128"
};

/// Entries ROWSxTOKENS. usage error, which names `option`, for a malformed one or one that leaves no room for
/// `further` tokens in the context.
std::vector<BatchShape> parse_shapes(const std::string& option, const std::vector<std::string>& entries,
                                     const LoadedModel& model, std::int64_t further = 0);

/// Arbitrary tokens.
std::vector<TokenIds> rows_of_shape(const BatchShape& shape, const LoadedModel& model);
ModelInputs inputs_of_shape(const BatchShape& shape, const LoadedModel& model);

}  // namespace lora
