#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace lora {

/// "model.layers.*.mlp.up_proj" of "model.layers.12.mlp.up_proj": modules that differ in numbers only share a
/// row.
std::string module_pattern(const std::string& path);

/// `value` with so many significant digits: significant(0.000123456, 2) == "0.00012", significant(1.5e-9, 2)
/// == "1.5e-09".
std::string significant(double value, int digits);

/// The first `most` items with commas between them, and ", ..." if there are more.
std::string join_first(const std::vector<std::string>& items, std::size_t most);

}  // namespace lora
