#pragma once

#include <cstdint>
#include <string>

#include "train/ranks.h"

namespace lora {

/// Where a rank runs, among those of its machine.
struct RankPlace {
  int number = 0;   ///< of this rank on its machine
  int sharers = 1;  ///< ranks that may use the same cores, this one included
};

/// Asks all ranks.
RankPlace find_place(Ranks& ranks);

/// Some bits of a text's hash as a number that gather() can carry.
double hash_number(const std::string& text);

}  // namespace lora
