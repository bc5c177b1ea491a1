#include "base/report_text.h"

#include <algorithm>
#include <cctype>
#include <iomanip>
#include <locale>
#include <sstream>

#include "lora/base/text.h"

namespace lora {

std::string module_pattern(const std::string& path) {
  std::vector<std::string> segments = split(path, '.');
  for (std::string& segment : segments) {
    const bool number = !segment.empty() && std::all_of(segment.begin(), segment.end(),
                                                        [](unsigned char c) { return std::isdigit(c); });
    if (number) segment = "*";
  }
  return join(segments, ".");
}

std::string significant(double value, int digits) {
  std::ostringstream out;
  out.imbue(std::locale::classic());
  out << std::setprecision(digits) << value;
  return out.str();
}

std::string join_first(const std::vector<std::string>& items, std::size_t most) {
  if (items.size() <= most) return join(items, ", ");
  return join(std::vector<std::string>(items.begin(), items.begin() + static_cast<std::ptrdiff_t>(most)),
              ", ") +
         ", ...";
}

}  // namespace lora
