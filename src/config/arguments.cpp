#include "config/arguments.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cctype>

namespace lora {
namespace {

/// Put before every value on its way through CLI11, which would otherwise take "[a,b]" and "{}" apart. What
/// comes back without it is CLI11's own and stands for no value.
constexpr char kGuard = '\x01';
constexpr int kMostValues = 1 << 20;

std::string guarded(const std::string& value) { return kGuard + value; }

std::optional<std::string> unguarded(const std::string& result) {
  if (result.empty() || result.front() != kGuard) return std::nullopt;
  return result.substr(1);
}

/// "--rank", "-h", but neither "-1" nor "-".
bool is_flag(const std::string& argument) {
  if (argument.size() < 2 || argument[0] != '-') return false;
  return argument[1] == '-' || std::isalpha(static_cast<unsigned char>(argument[1]));
}

std::vector<std::string> guard_values(const std::vector<std::string>& arguments) {
  std::vector<std::string> result;
  bool only_words = false;
  for (const std::string& argument : arguments) {
    if (only_words || !is_flag(argument)) {
      result.push_back(guarded(argument));
    } else if (argument == "--") {
      only_words = true;
    } else if (const auto equals = argument.find('='); equals != std::string::npos) {
      result.push_back(argument.substr(0, equals + 1) + guarded(argument.substr(equals + 1)));
    } else {
      result.push_back(argument);
    }
  }
  return result;
}

CLI::Option* add_flag(CLI::App& app, const FlagSpec& flag) {
  const std::string name = "--" + flag.name + (flag.name == "help" ? ",-h" : "");
  if (flag.takes == FlagSpec::Takes::nothing) return app.add_flag(name);
  CLI::Option* option = app.add_option(name);
  option->expected(0, flag.takes == FlagSpec::Takes::values ? kMostValues : 1);
  return option;
}

}  // namespace

Arguments split_arguments(const std::vector<std::string>& arguments, const std::vector<FlagSpec>& flags) {
  CLI::App app;
  app.set_help_flag();
  app.allow_extras();
  std::vector<CLI::Option*> options;
  for (const FlagSpec& flag : flags) {
    options.push_back(add_flag(app, flag)->multi_option_policy(CLI::MultiOptionPolicy::TakeAll));
  }
  std::vector<std::string> backwards = guard_values(arguments);
  std::reverse(backwards.begin(), backwards.end());
  app.parse(backwards);

  Arguments split;
  for (std::size_t i = 0; i < flags.size(); ++i) {
    for (const std::string& result : options[i]->results())
      split.flags[flags[i].name].push_back(unguarded(result));
  }
  for (const std::string& extra : app.remaining()) {
    const auto word = unguarded(extra);
    if (word)
      split.words.push_back(*word);
    else
      split.unknown_flags.push_back(extra.substr(0, extra.find('=')));
  }
  return split;
}

}  // namespace lora
