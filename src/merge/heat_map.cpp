#include "merge/heat_map.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <iterator>
#include <map>

#include "base/report_text.h"
#include "lora/base/text.h"

namespace lora {
namespace {

constexpr const char* kShades[] = {" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
constexpr int kMost = std::size(kShades) - 1;

/// Where a module's value goes: its path with "*" for the layer, and the layer; -1 if it has none.
struct Place {
  std::string row;
  int layer = -1;
};

Place place_of(const std::string& path) {
  std::vector<std::string> segments = split(path, '.');
  for (std::string& segment : segments) {
    const bool number =
        !segment.empty() && segment.size() <= 6 &&
        std::all_of(segment.begin(), segment.end(), [](unsigned char c) { return std::isdigit(c); });
    if (!number) continue;
    const int layer = std::stoi(segment);
    segment = "*";
    return {join(segments, "."), layer};
  }
  return {path};
}

std::string shade(double value, double largest) {
  if (!std::isfinite(value)) return "?";
  if (value <= 0 || largest <= 0) return kShades[0];
  return kShades[std::clamp(static_cast<int>(std::ceil(value / largest * kMost)), 1, kMost)];
}

}  // namespace

std::string heat_map(const std::string& title, const std::vector<HeatValue>& values) {
  if (values.empty()) return {};
  std::vector<std::string> rows;  // in the order of their first value
  std::map<std::string, std::map<int, double>> cells;
  int last = 0;
  double largest = 0;
  std::size_t width = 0;
  for (const HeatValue& each : values) {
    const auto [row, layer] = place_of(each.module);
    if (!cells.count(row)) rows.push_back(row);
    cells[row][layer] = each.value;
    last = std::max(last, layer);
    width = std::max(width, row.size());
    if (std::isfinite(each.value)) largest = std::max(largest, each.value);
  }
  std::string text = cat(title, ", layers 0 to ", last, "\n");
  for (const std::string& row : rows) {
    text += printable(row) + std::string(width - row.size(), ' ') + "  ";
    const auto& line = cells[row];
    if (line.count(-1)) {
      text += shade(line.at(-1), largest);
    } else {
      for (int layer = 0; layer <= last; ++layer)
        text += line.count(layer) ? shade(line.at(layer), largest) : "·";
    }
    text += "\n";
  }
  if (largest == 0) return text + "all are zero; · not adapted\n";
  return text + cat("scale: ", kShades[1], " up to ", significant(largest / kMost, 2), ", ", kShades[kMost],
                    " ", significant(largest, 3), "; · not adapted\n");
}

}  // namespace lora
