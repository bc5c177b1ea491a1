#include "merge/weighted_adapter.h"

#include <charconv>
#include <cmath>
#include <optional>
#include <string_view>

#include "lora/base/error.h"
#include "lora/base/text.h"

namespace lora {
namespace {

/// A finite number other than zero, whatever the locale.
std::optional<double> parse_weight(std::string_view text) {
  if (text.starts_with('+') && !text.starts_with("+-")) text.remove_prefix(1);
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool whole = error == std::errc() && end == text.data() + text.size();
  return whole && std::isfinite(value) && value != 0 ? std::optional(value) : std::nullopt;
}

}  // namespace

std::vector<WeightedAdapterPath> parse_weighted_adapters(const std::vector<std::string>& items) {
  std::vector<WeightedAdapterPath> adapters;
  std::vector<std::string> bad;
  for (const std::string& item : items) {
    const auto colon = item.rfind(':');
    const bool weighted = colon != std::string::npos && item.find('/', colon) == std::string::npos;
    const std::string path = weighted ? item.substr(0, colon) : item;
    const auto weight =
        weighted ? parse_weight(std::string_view(item).substr(colon + 1)) : std::optional(1.0);
    if (path.empty())
      bad.push_back(cat("  \"", printable(item), "\" has no folder"));
    else if (!weight)
      bad.push_back(cat("  \"", printable(item), "\": \"", printable(item.substr(colon + 1)),
                        "\" is no weight: a finite number other than 0"));
    else
      adapters.push_back({path, *weight});
  }
  if (bad.empty()) return adapters;
  throw Error(
      ExitCode::usage,
      cat(bad.size(), " of ", items.size(), " adapters are not of the form DIR or DIR:WEIGHT\n",
          join(bad, "\n")),
      "write runs/first/adapter:0.5; the weight follows the last colon, a negative one subtracts. A folder "
      "with a colon in its name needs a slash at its end or a weight");
}

}  // namespace lora
