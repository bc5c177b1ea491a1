#include "lora/base/text.h"
#include "lora/data/encode.h"

namespace lora {
namespace {

/// 301220 -> "301,220".
std::string grouped(std::int64_t number) {
  std::string digits = std::to_string(number);
  for (std::size_t i = digits.size(); i > 3; i -= 3) digits.insert(i - 3, 1, ',');
  return digits;
}

std::string share(std::int64_t part, std::int64_t whole) {
  const double percent = whole > 0 ? 100.0 * static_cast<double>(part) / static_cast<double>(whole) : 0;
  return fixed(percent, percent > 0 && percent < 10 ? 1 : 0) + " %";
}

}  // namespace

std::string EncodeReport::summary() const {
  std::string text = cat(grouped(rows), " rows, ", grouped(tokens), " tokens");
  if (!has_text_head(task)) text += cat(" (", share(labelled, tokens), " labelled)");
  text += cat(", ", grouped(cut), " cut");
  if (cut > 0) text += cat(" (", grouped(cut_tokens), " tokens removed)");
  if (split > 0) text += cat(", ", grouped(split), " split into windows");
  text += cat(", ", grouped(dropped_long + dropped_empty), " dropped");
  std::vector<std::string> reasons;
  if (dropped_long > 0) reasons.push_back(cat(grouped(dropped_long), " too long"));
  if (dropped_empty > 0) reasons.push_back(cat(grouped(dropped_empty), " without a labelled token"));
  return reasons.empty() ? text : cat(text, " (", join(reasons, ", "), ")");
}

}  // namespace lora
