#include "config/command_line.h"

#include <algorithm>

#include "config/arguments.h"
#include "config/problems.h"
#include "config/values.h"
#include "lora/base/files.h"
#include "lora/config/check.h"
#include "lora/config/config_json.h"

namespace lora {
namespace {

constexpr std::string_view kNegation = "no-";
constexpr std::string_view kWithoutRun = "auto";  ///< of an option that otherwise names a run

std::string bare_flag(const Option& option) { return option.flag().substr(2); }

std::vector<FlagSpec> flag_specs(const OptionTable& options) {
  using Takes = FlagSpec::Takes;
  std::vector<FlagSpec> flags;
  for (const Option& option : options.options()) {
    const std::string name = bare_flag(option);
    if (option.kind == OptionKind::flag) {
      flags.push_back({name, Takes::nothing});
      flags.push_back({cat(kNegation, name), Takes::nothing});
    } else {
      flags.push_back({name, option.kind == OptionKind::list ? Takes::values : Takes::one_value});
    }
  }
  return flags;
}

std::string needs_value(const Option& option) { return cat(option.flag(), " needs a value: ", option.help); }

/// "q_proj,v_proj" -> both; "/layers.[0,1]/" stays whole.
std::vector<std::string> split_items(const Option& option, const std::vector<std::string>& values) {
  if (!option.comma_separated) return values;
  std::vector<std::string> items;
  for (const std::string& value : values) {
    if (value.starts_with('/')) {
      items.push_back(value);
      continue;
    }
    for (const std::string& item : split(value, ',')) {
      if (!trim(item).empty()) items.emplace_back(trim(item));
    }
  }
  return items;
}

OptionValue read_texts(const Option& option, const std::vector<std::string>& texts) {
  if (option.kind == OptionKind::list) return split_items(option, texts);
  return parse_value(option.kind, texts.back());
}

/// Sets one option from the texts its flag was given, or says what is wrong with them.
std::string set_from_texts(const Option& option, const std::vector<std::string>& texts) {
  const OptionValue value = read_texts(option, texts);
  if (value == OptionValue(std::vector<std::string>())) return needs_value(option);
  const std::string broken = value.index() == 0 ? kind_text(option.kind) : option.broken_rule(value);
  if (!broken.empty()) {
    return cat(option.flag(), " must be ", broken, ", found \"", printable(texts.back()), "\"",
               nearest_text(texts.back(), option.words));
  }
  option.set(value);
  return "";
}

/// The same from a flag whose value may be missing; a yes/no flag alone means "true".
std::string set_from_flag(const Option& option, const std::vector<std::optional<std::string>>& given) {
  std::vector<std::string> texts;
  for (const auto& text : given) {
    if (!text && option.kind != OptionKind::flag) return needs_value(option);
    texts.push_back(text.value_or("true"));
  }
  return set_from_texts(option, texts);
}

std::string apply_flag(const Option& option, const Arguments& arguments) {
  const std::string name = bare_flag(option);
  const auto given = arguments.flags.find(name);
  const auto negated = arguments.flags.find(cat(kNegation, name));
  const bool is_given = given != arguments.flags.end(), is_negated = negated != arguments.flags.end();
  if (is_given && is_negated) return cat("--", name, " and --", kNegation, name, " contradict each other");
  if (is_negated && negated->second.back()) return cat("--", kNegation, name, " takes no value");
  if (is_negated) return set_from_texts(option, {"false"});
  return is_given ? set_from_flag(option, given->second) : "";
}

void apply_flags(const OptionTable& options, const Arguments& arguments, Problems& problems) {
  for (const Option& option : options.options()) {
    if (const std::string problem = apply_flag(option, arguments); !problem.empty()) problems.add(problem);
  }
}

/// Gives the words to the positional options in order; a list takes all that are left.
void apply_words(const OptionTable& options, const Arguments& arguments, Problems& problems) {
  auto word = arguments.words.begin();
  for (const Option& option : options.options()) {
    if (!option.positional || word == arguments.words.end()) continue;
    const bool is_list = option.kind == OptionKind::list;
    option.set(is_list ? OptionValue(std::vector<std::string>(word, arguments.words.end()))
                       : OptionValue(*word));
    word = is_list ? arguments.words.end() : word + 1;
  }
  for (; word != arguments.words.end(); ++word) {
    problems.add(cat("unexpected argument \"", printable(*word), "\""));
  }
}

void refuse_unknown(const Arguments& arguments, const std::vector<FlagSpec>& flags, Problems& problems) {
  std::vector<std::string> known;
  for (const FlagSpec& flag : flags) known.push_back("--" + flag.name);
  for (const std::string& unknown : arguments.unknown_flags) {
    problems.add(cat("unknown option ", printable(unknown), nearest_text(unknown, known)));
  }
}

/// The config.json of the run folder that an option names, or "".
std::string config_of_run(const OptionTable& options, const Arguments& arguments) {
  for (const Option& option : options.options()) {
    const auto given = arguments.flags.find(bare_flag(option));
    if (!option.options_of_run || given == arguments.flags.end() || !given->second.back()) continue;
    if (*given->second.back() != kWithoutRun) return *given->second.back() + "/config.json";
  }
  return "";
}

}  // namespace

GeneralOptions read_command_line(const std::vector<std::string>& arguments, const OptionTable& options) {
  GeneralOptions general;
  const OptionTable general_table = options_of(general);
  std::vector<FlagSpec> flags = flag_specs(options);
  const std::vector<FlagSpec> general_flags = flag_specs(general_table);
  flags.insert(flags.end(), general_flags.begin(), general_flags.end());
  const Arguments split = split_arguments(arguments, flags);

  Problems problems;
  apply_flags(general_table, split, problems);
  if (general.help || general.version) return general;
  if (general.quiet && general.verbose) problems.add("--quiet and --verbose contradict each other");
  refuse_unknown(split, flags, problems);
  // A program wrote the first, the user the second.
  for (const auto& [file, code] : {std::pair(config_of_run(options, split), ExitCode::file),
                                   std::pair(general.config, ExitCode::usage)}) {
    if (!file.empty()) read_json_text(options, read_file(file), cat("config \"", file, "\""), code);
  }
  apply_flags(options, split, problems);
  apply_words(options, split, problems);
  problems.throw_if_any();
  if (!general.print_config) check_options(options);
  return general;
}

}  // namespace lora
