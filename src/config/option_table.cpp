#include "lora/config/option_table.h"

#include <algorithm>

#include "config/values.h"
#include "lora/base/text.h"

namespace lora {
namespace {

/// Counts are held in int at many places of LibTorch; a larger one is a slip of the hand.
constexpr std::int64_t kLargestWhole = 2147483647;

std::string broken_words(const std::vector<std::string>& words, const std::string& value) {
  if (words.empty() || std::find(words.begin(), words.end(), value) != words.end()) return "";
  return cat("one of ", join(words, ", "));
}

}  // namespace

std::string Option::flag() const {
  std::string dashed = "--" + name;
  std::replace(dashed.begin(), dashed.end(), '_', '-');
  return dashed;
}

std::string Option::broken_rule(const OptionValue& value) const {
  if (const auto* whole = std::get_if<std::int64_t>(&value)) {
    if (*whole > kLargestWhole) return cat("at most ", kLargestWhole);
    if (rule && !rule->holds(static_cast<double>(*whole))) return rule->text;
  }
  if (const auto* number = std::get_if<double>(&value); number && rule && !rule->holds(*number)) {
    return rule->text;
  }
  const auto* text = std::get_if<std::string>(&value);
  const bool is_missing = text && text->empty() && required;  // which is said elsewhere
  if (text && !is_missing) return broken_words(words, *text);
  return "";
}

const Option* OptionTable::find(std::string_view name) const {
  const auto found = std::find_if(options_.begin(), options_.end(),
                                  [&](const Option& option) { return option.name == name; });
  return found == options_.end() ? nullptr : &*found;
}

std::vector<std::string> OptionTable::names() const {
  std::vector<std::string> names;
  for (const Option& option : options_) names.push_back(option.name);
  return names;
}

}  // namespace lora
