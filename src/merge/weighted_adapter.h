#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace lora {

/// An adapter folder and the factor of its update.
struct WeightedAdapterPath {
  std::filesystem::path path;
  double weight = 1;
};

/// Reads "DIR" or "DIR:WEIGHT" ("a:-0.5"): what follows the last colon is the weight, unless a slash is in
/// it. usage error listing every item without a path, or whose weight is no finite number other than zero.
std::vector<WeightedAdapterPath> parse_weighted_adapters(const std::vector<std::string>& items);

}  // namespace lora
