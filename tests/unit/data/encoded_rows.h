#pragma once

#include "lora/base/random.h"
#include "lora/data/encode.h"

namespace lora::test {

/// Rows of random lengths from 2 to 60 with distinct ids and about half of the labels set.
inline std::vector<EncodedRow> random_rows(std::size_t count) {
  const CounterRandom random(7, 7);
  std::uint64_t draw = 0;
  std::vector<EncodedRow> rows(count);
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint64_t length = 2 + random.below(draw++, 59);
    for (std::uint64_t t = 0; t < length; ++t) {
      rows[i].ids.push_back(static_cast<std::int32_t>(100 * i + t));
      rows[i].labels.push_back(random.below(draw++, 2) ? rows[i].ids.back() : -100);
    }
    rows[i].line = static_cast<std::int64_t>(i) + 1;
  }
  return rows;
}

}  // namespace lora::test
