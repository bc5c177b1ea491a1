#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "lora/checkpoint/adapter_folder.h"

namespace lora {

/// Two updates dW1, dW2 of one module.
struct ModuleDifference {
  std::string module;
  std::int64_t ranks[2] = {0, 0};
  double norms[2] = {0, 0};  ///< |dW|, Frobenius
  double cosine = 0;         ///< <dW1, dW2> / (|dW1| |dW2|); NaN if one is zero
  double distance = 0;       ///< |dW1 - dW2|
  /// phi of the leading i and j singular directions, at [i - 1, j - 1], on the output and the input side:
  /// float64 [rank 1, rank 2], as far as singular values are not zero.
  at::Tensor left, right;
  double left_random = 0, right_random = 0;  ///< phi of all directions if they were random
};

/// What two adapters have in common and what not.
struct AdapterDifference {
  std::vector<ModuleDifference> modules;
  std::vector<std::string> only[2];     ///< modules of one of them
  std::map<std::string, double> whole;  ///< other tensors of both: |T1 - T2| / |T1|
  std::vector<std::string> whole_only[2];
  std::vector<std::string> facts;  ///< "rank 8 and 64": settings that differ
};

/// mismatch error listing every module and tensor of both whose shapes differ.
AdapterDifference compare_adapters(const AdapterFolder& first, const AdapterFolder& second);

}  // namespace lora
