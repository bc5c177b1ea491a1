#include "lora/config/check.h"

#include <algorithm>

#include "config/problems.h"
#include "config/values.h"

namespace lora {
namespace {

bool is_on(const OptionTable& options, const std::string& name) {
  const Option* option = options.find(name);
  return option && option->get() == OptionValue(true);
}

bool is_missing(const Option& option, const OptionTable& options) {
  if (!option.required || !value_text(option.get()).empty()) return false;
  const auto& unless = option.required->unless;
  return std::none_of(unless.begin(), unless.end(), [&](const auto& name) { return is_on(options, name); });
}

}  // namespace

void check_options(const OptionTable& options) {
  Problems problems;
  for (const Option& option : options.options()) {
    const OptionValue value = option.get();
    if (is_missing(option, options)) problems.add(cat(option.flag(), " is missing: ", option.help));
    if (const std::string rule = option.broken_rule(value); !rule.empty()) {
      problems.add(cat(option.flag(), " must be ", rule, ", found ", printable(value_text(value))));
    }
  }
  problems.throw_if_any();
}

}  // namespace lora
