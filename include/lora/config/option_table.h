#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "lora/config/option.h"

namespace lora {

/// What an option holds; monostate is an optional one that is not set.
using OptionValue =
    std::variant<std::monostate, bool, std::int64_t, double, std::string, std::vector<std::string>>;

/// In the order of OptionValue's alternatives.
enum class OptionKind : std::size_t { unset, flag, whole, number, text, list };

/// One option of a config struct, without its type.
struct Option {
  std::string name, help, section, placeholder;
  OptionKind kind = OptionKind::unset;
  bool optional = false, positional = false, comma_separated = false;
  bool options_of_run = false;
  std::optional<NumberRule> rule;
  std::optional<Required> required;
  std::vector<std::string> words;  ///< the allowed ones; empty: any
  std::function<OptionValue()> get;
  std::function<void(const OptionValue&)> set;

  /// "--learning-rate"
  std::string flag() const;
  /// Completes "must be ..." if `value` breaks a rule of this option; empty if it keeps all.
  std::string broken_rule(const OptionValue& value) const;
};

/// The visitor that collects a config struct's options. It refers to the struct and must not outlive it.
class OptionTable {
 public:
  void section(std::string name) { section_ = std::move(name); }

  template <class Field, class... Facts>
  void operator()(std::string name, Field& field, std::string help, const Facts&... facts) {
    Option option;
    option.name = std::move(name);
    option.help = std::move(help);
    option.section = section_;
    bind(option, field);
    (add(option, facts), ...);
    options_.push_back(std::move(option));
  }

  const std::vector<Option>& options() const { return options_; }
  /// nullptr if there is none of this name.
  const Option* find(std::string_view name) const;
  std::vector<std::string> names() const;

 private:
  template <class Field>
  static void bind(Option& option, Field& field) {
    option.kind = static_cast<OptionKind>(OptionValue(field).index());
    option.get = [&field] { return OptionValue(field); };
    option.set = [&field](const OptionValue& value) { field = std::get<Field>(value); };
  }
  template <class Held>
  static void bind(Option& option, std::optional<Held>& field) {
    option.kind = static_cast<OptionKind>(OptionValue(Held()).index());
    option.optional = true;
    option.get = [&field] { return field ? OptionValue(*field) : OptionValue(); };
    option.set = [&field](const OptionValue& value) {
      field = value.index() == 0 ? std::nullopt : std::optional<Held>(std::get<Held>(value));
    };
  }

  static void add(Option& option, const NumberRule& rule) { option.rule = rule; }
  static void add(Option& option, const OneOf& one_of) { option.words = one_of.words; }
  static void add(Option& option, const Required& required) { option.required = required; }
  static void add(Option& option, Positional) { option.positional = true; }
  static void add(Option& option, OptionsOfRun) { option.options_of_run = true; }
  static void add(Option& option, CommaSeparated) { option.comma_separated = true; }
  static void add(Option& option, const Placeholder& placeholder) { option.placeholder = placeholder.text; }

  std::string section_;
  std::vector<Option> options_;
};

template <class Config>
OptionTable options_of(Config& config) {
  OptionTable options;
  config.visit(options);
  return options;
}

}  // namespace lora
