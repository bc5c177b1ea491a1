#pragma once

#include <string>
#include <utility>
#include <vector>

namespace lora {

/// Text between tags or in an attribute.
std::string html_escaped(const std::string& text);

struct PlotPoint {
  std::size_t colour = 0;  ///< number of the style's colour: the same for a variant in all plots
  std::string label;
  double x = 0, y = 0, low = 0, high = 0;  ///< low..high: its interval
};
/// Points with whiskers; x on a logarithmic axis (values below 1 at its left end).
std::string scatter_plot(const std::vector<PlotPoint>& points, const std::string& x_title,
                         const std::string& y_title);

struct PlotLine {
  std::size_t colour = 0;
  std::string label;
  std::vector<std::pair<double, double>> points;
};
std::string line_plot(const std::vector<PlotLine>& lines, const std::string& x_title,
                      const std::string& y_title);

struct PlotBar {
  std::size_t colour = 0;
  std::string label;
  double value = 0;
};
/// Horizontal bars from 0, each with its value.
std::string bar_plot(const std::vector<PlotBar>& bars, const std::string& unit);

}  // namespace lora
