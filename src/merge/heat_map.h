#pragma once

#include <string>
#include <vector>

namespace lora {

/// One value of a module, placed by its path: the row is the path with "*" for the layer, the column the
/// layer.
struct HeatValue {
  std::string module;
  double value = 0;
};

/// Rows of shades, a character a layer, from the blank of zero to the full block of the largest value of all
/// rows; values that are not finite are "?". Modules outside layers have one character. Below: what the
/// shades mean. Empty for no values.
std::string heat_map(const std::string& title, const std::vector<HeatValue>& values);

}  // namespace lora
