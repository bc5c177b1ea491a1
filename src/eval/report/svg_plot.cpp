#include "eval/report/svg_plot.h"

#include <algorithm>
#include <cmath>

#include "lora/base/text.h"

namespace lora {
namespace {

constexpr double kWidth = 640, kHeight = 320, kLeft = 70, kRight = 150, kTop = 16, kBottom = 46;
constexpr double kBarHeight = 22, kBarLeft = 160, kBarRight = 110;
constexpr int kColours = 8, kTicks = 5;

std::string number(double value) { return fixed(value, 1); }

std::string text_at(double x, double y, const std::string& text, const std::string& anchor = "middle") {
  return cat("<text x=\"", number(x), "\" y=\"", number(y), "\" text-anchor=\"", anchor, "\">",
             html_escaped(text), "</text>");
}

std::string svg(double width, double height, const std::string& content) {
  return cat("<svg viewBox=\"0 0 ", number(width), " ", number(height), "\" width=\"", number(width),
             "\" role=\"img\" xmlns=\"http://www.w3.org/2000/svg\">", content, "</svg>\n");
}

std::string short_number(double value) {
  const double size = std::abs(value);
  if (size >= 1e9) return cat(fixed(value / 1e9, 0), "G");
  if (size >= 1e6) return cat(fixed(value / 1e6, 0), "M");
  if (size >= 1e3) return cat(fixed(value / 1e3, size >= 1e4 ? 0 : 1), "k");
  if (size >= 10 || value == 0) return fixed(value, 0);
  return fixed(value, size >= 1 ? 1 : 3);
}

/// Values to pixels.
class Axis {
 public:
  Axis(double low, double high, double from, double to) : low_(low), high_(high), from_(from), to_(to) {
    if (high_ - low_ < 1e-12) {
      low_ -= 0.5;
      high_ += 0.5;
    }
  }
  double at(double value) const { return from_ + (value - low_) / (high_ - low_) * (to_ - from_); }
  std::vector<double> ticks() const {
    std::vector<double> values;
    for (int i = 0; i < kTicks; ++i) values.push_back(low_ + (high_ - low_) * i / (kTicks - 1));
    return values;
  }
  std::vector<double> whole_ticks() const {
    const double step = std::max(1.0, std::ceil((high_ - low_) / kTicks));
    std::vector<double> values;
    for (double value = std::ceil(low_); value <= high_; value += step) values.push_back(value);
    return values;
  }

 private:
  double low_, high_, from_, to_;
};

std::string frame(const Axis& x, const Axis& y, bool is_logarithmic, const std::string& x_title,
                  const std::string& y_title) {
  const double bottom = kHeight - kBottom, right = kWidth - kRight;
  std::string out;
  for (const double value : y.ticks()) {
    const std::string level = number(y.at(value));
    out += cat("<line class=\"grid\" x1=\"", number(kLeft), "\" x2=\"", number(right), "\" y1=\"", level,
               "\" y2=\"", level, "\"/>", text_at(kLeft - 6, y.at(value) + 4, short_number(value), "end"));
  }
  for (const double value : is_logarithmic ? x.whole_ticks() : x.ticks())
    out += text_at(x.at(value), bottom + 16, short_number(is_logarithmic ? std::pow(10, value) : value));
  out +=
      cat("<line class=\"axis\" x1=\"", number(kLeft), "\" x2=\"", number(right), "\" y1=\"", number(bottom),
          "\" y2=\"", number(bottom), "\"/>", text_at((kLeft + right) / 2, kHeight - 8, x_title));
  const double middle = (kTop + bottom) / 2;
  return out + cat("<text transform=\"translate(14 ", number(middle),
                   ") rotate(-90)\" text-anchor=\"middle\">", html_escaped(y_title), "</text>");
}

std::string legend(std::size_t number_of, std::size_t colour, const std::string& label) {
  const double y = kTop + 14 + 18 * static_cast<double>(number_of), x = kWidth - kRight + 14;
  return cat("<rect class=\"c", colour % kColours, "\" x=\"", number(x), "\" y=\"", number(y - 9),
             "\" width=\"10\" height=\"10\"/>", text_at(x + 16, y, label, "start"));
}

double logarithm(double value) { return std::log10(std::max(value, 1.0)); }

}  // namespace

std::string html_escaped(const std::string& text) {
  std::string out;
  for (const char c : printable(text)) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string scatter_plot(const std::vector<PlotPoint>& points, const std::string& x_title,
                         const std::string& y_title) {
  if (points.empty()) return "";
  double left = INFINITY, right = -INFINITY, low = INFINITY, high = -INFINITY;
  for (const PlotPoint& point : points) {
    left = std::min(left, logarithm(point.x));
    right = std::max(right, logarithm(point.x));
    low = std::min({low, point.low, point.y});
    high = std::max({high, point.high, point.y});
  }
  const double margin = 0.05 * (high - low);
  const Axis x(std::floor(left), std::ceil(right), kLeft + 10, kWidth - kRight - 10);
  const Axis y(low - margin, high + margin, kHeight - kBottom, kTop);
  std::string out = frame(x, y, true, x_title, y_title);
  for (std::size_t i = 0; i < points.size(); ++i) {
    const PlotPoint& point = points[i];
    const std::string place = number(x.at(logarithm(point.x)));
    out += cat("<line class=\"s", point.colour % kColours, "\" x1=\"", place, "\" x2=\"", place, "\" y1=\"",
               number(y.at(point.low)), "\" y2=\"", number(y.at(point.high)), "\"/><circle class=\"c",
               point.colour % kColours, "\" cx=\"", place, "\" cy=\"", number(y.at(point.y)), "\" r=\"5\"/>",
               legend(i, point.colour, point.label));
  }
  return svg(kWidth, kHeight, out);
}

std::string line_plot(const std::vector<PlotLine>& lines, const std::string& x_title,
                      const std::string& y_title) {
  double left = INFINITY, right = -INFINITY, low = INFINITY, high = -INFINITY;
  for (const PlotLine& line : lines) {
    for (const auto& [x, y] : line.points) {
      left = std::min(left, x);
      right = std::max(right, x);
      low = std::min(low, y);
      high = std::max(high, y);
    }
  }
  if (left > right) return "";
  const Axis x(left, right, kLeft, kWidth - kRight), y(low, high, kHeight - kBottom, kTop);
  std::string out = frame(x, y, false, x_title, y_title);
  for (std::size_t i = 0; i < lines.size(); ++i) {
    std::string path;
    for (const auto& [at, value] : lines[i].points)
      path += cat(path.empty() ? "" : " ", number(x.at(at)), ",", number(y.at(value)));
    out += cat("<polyline class=\"s", lines[i].colour % kColours, "\" points=\"", path, "\"/>",
               legend(i, lines[i].colour, lines[i].label));
  }
  return svg(kWidth, kHeight, out);
}

std::string bar_plot(const std::vector<PlotBar>& bars, const std::string& unit) {
  double most = 0;
  for (const PlotBar& bar : bars) most = std::max(most, bar.value);
  if (most <= 0) return "";
  std::string out;
  for (std::size_t i = 0; i < bars.size(); ++i) {
    const double y = 4 + kBarHeight * static_cast<double>(i);
    const double length = bars[i].value / most * (kWidth - kBarLeft - kBarRight);
    out += cat(text_at(kBarLeft - 8, y + 13, bars[i].label, "end"), "<rect class=\"c",
               bars[i].colour % kColours, "\" x=\"", number(kBarLeft), "\" y=\"", number(y), "\" width=\"",
               number(length), "\" height=\"", number(kBarHeight - 6), "\"/>",
               text_at(kBarLeft + length + 6, y + 13, cat(fixed(bars[i].value, 2), " ", unit), "start"));
  }
  return svg(kWidth, 8 + kBarHeight * static_cast<double>(bars.size()), out);
}

}  // namespace lora
