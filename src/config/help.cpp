#include "config/help.h"

#include <algorithm>

#include "config/general_options.h"
#include "config/values.h"
#include "lora/base/text.h"

namespace lora {
namespace {

constexpr std::size_t kHelpColumn = 28;  ///< where the explanation of an option begins
constexpr char kFixedSpace = '\x1f';     ///< a space where wrap() breaks no line

std::string placeholder(const Option& option) {
  const std::string more = option.kind == OptionKind::list ? " ..." : "";
  if (!option.placeholder.empty()) return option.placeholder + more;
  if (!option.words.empty()) return join(option.words, "|");
  switch (option.kind) {
    case OptionKind::flag:
      return "";
    case OptionKind::whole:
      return "N";
    case OptionKind::number:
      return "X";
    default:
      return "TEXT" + more;
  }
}

/// "--rank N", "--[no-]bucket", "-h, --help", "DIR" for an option that needs no flag.
std::string option_head(const Option& option) {
  if (option.positional) return placeholder(option);
  if (option.name == "help") return cat("-h, ", option.flag());
  if (option.get() == OptionValue(true)) return cat("--[no-]", option.flag().substr(2));
  const std::string value = placeholder(option);
  return value.empty() ? option.flag() : cat(option.flag(), " ", value);
}

std::string required_fact(const Required& required, const OptionTable& options) {
  std::vector<std::string> flags;
  for (const std::string& name : required.unless) flags.push_back(options.find(name)->flag());
  return flags.empty() ? "required" : cat("required unless ", join(flags, " or "));
}

std::string default_fact(const Option& option) {
  const OptionValue value = option.get();
  if (value == OptionValue(true)) return "default: on";
  const std::string text = value_text(value);
  return option.kind == OptionKind::flag || text.empty() ? "" : cat("default: ", text);
}

/// " [at least 1; default: 16]" or nothing.
std::string option_facts(const Option& option, const OptionTable& options) {
  std::vector<std::string> facts;
  if (option.required) facts.push_back(required_fact(*option.required, options));
  if (option.rule) facts.push_back(option.rule->text);
  if (const std::string text = default_fact(option); !text.empty()) facts.push_back(text);
  for (std::string& fact : facts) std::replace(fact.begin(), fact.end(), ' ', kFixedSpace);
  return facts.empty() ? "" : cat(" [", join(facts, "; "), "]");
}

std::string option_lines(const Option& option, const OptionTable& options, std::size_t width) {
  std::string lines = cat("  ", option_head(option));
  const bool fits = lines.size() + 2 <= kHelpColumn;
  lines += fits ? std::string(kHelpColumn - lines.size(), ' ') : "\n" + std::string(kHelpColumn, ' ');
  return lines + wrap(option.help + option_facts(option, options), width - kHelpColumn, kHelpColumn) + "\n";
}

/// A command line that can be copied although it may take several lines; a flag keeps its value beside it.
std::string example_lines(std::string example, std::size_t width) {
  for (std::size_t i = 0; i + 1 < example.size(); ++i) {
    if (example[i] == ' ' && example[i + 1] != '-') example[i] = kFixedSpace;
  }
  const auto lines = split(wrap(example, width - std::string_view("      \\").size() - 1, 0), '\n');
  return cat("  ", join(lines, " \\\n      "), "\n");
}

std::string sections(const OptionTable& options, std::size_t width) {
  std::string text, section;
  for (const Option& option : options.options()) {
    if (option.section != section) text += cat("\n", section = option.section, "\n");
    text += option_lines(option, options, width);
  }
  return text;
}

}  // namespace

std::string wrap(std::string_view text, std::size_t width, std::size_t indent) {
  std::string wrapped;
  std::size_t used = 0;
  for (const std::string& word : split(text, ' ')) {
    if (used > 0 && used + 1 + word.size() > width) {
      wrapped += "\n" + std::string(indent, ' ');
      used = 0;
    } else if (used > 0) {
      wrapped += ' ';
      ++used;
    }
    wrapped += word;
    used += word.size();
  }
  std::replace(wrapped.begin(), wrapped.end(), kFixedSpace, ' ');
  return wrapped;
}

std::string usage_line(const CommandInfo& command, const OptionTable& options) {
  std::string line = cat("usage: ", command.name);
  for (const Option& option : options.options()) {
    if (option.required) line += cat(" ", option_head(option));
  }
  return line + " [options]\n";
}

std::string short_usage(const CommandInfo& command, const OptionTable& options) {
  return cat(usage_line(command, options), "example: ", command.examples.front(), "\n", command.name,
             " --help explains every option\n");
}

std::string help_text(const CommandInfo& command, const OptionTable& options, std::size_t width) {
  GeneralOptions general;
  std::string text =
      cat(wrap(command.purpose, width, 0), "\n\n", usage_line(command, options), "\nExamples\n");
  for (const std::string& example : command.examples) text += example_lines(example, width);
  return cat(text, sections(options, width), sections(options_of(general), width));
}

}  // namespace lora
