#include "programs/run.h"

#include <torch/headeronly/version.h>

#include <algorithm>
#include <iostream>

#include "config/command_line.h"
#include "lora/base/error.h"
#include "lora/base/log.h"
#include "lora/base/stop.h"
#include "lora/base/text.h"
#include "lora/base/version.h"
#include "lora/config/config_json.h"
#include "lora/model/trust.h"
#include "programs/allocation.h"
#include "programs/failure.h"
#include "programs/standard_streams.h"

namespace lora {
namespace {

using Strings = std::vector<std::string>;

std::string version_line(const std::string& name) {
  return cat(name.substr(0, name.find(' ')), " ", version(), " (LibTorch ", TORCH_VERSION, ")\n");
}

Strings words_of(const std::vector<Command>& commands) {
  Strings words;
  for (const Command& command : commands) words.push_back(command.word);
  return words;
}

std::string commands_text(const std::string& name, const std::vector<Command>& commands) {
  constexpr std::size_t kColumn = 12;
  std::string text = cat("usage: ", name, " COMMAND [options]\n\nCommands\n");
  for (const Command& command : commands) {
    text +=
        cat("  ", command.word, std::string(kColumn - 2 - std::min(kColumn - 3, command.word.size()), ' '),
            wrap(command.purpose, text_columns() - kColumn, kColumn), "\n");
  }
  return cat(text, "\n", name, " COMMAND --help explains a command\n");
}

const Command& find_command(const std::vector<Command>& commands, const std::string& word) {
  for (const Command& command : commands) {
    if (command.word == word) return command;
  }
  const Strings words = words_of(commands);
  const Strings nearest = nearest_names(word, words, 1);
  throw Error(ExitCode::usage,
              cat(word.starts_with('-') ? "a command must come first" : "unknown command", ", found \"",
                  printable(word), "\"; expected one of ", join(words, ", ")),
              nearest.empty() ? "" : cat("did you mean ", nearest.front(), "?"));
}

/// `name` becomes the name of the command, once that is known.
int dispatch(std::string& name, const std::vector<Command>& commands, Strings arguments) {
  const Command* command = &commands.front();
  if (!command->word.empty()) {
    if (arguments.empty()) {
      std::cerr << commands_text(name, commands);
      return static_cast<int>(ExitCode::usage);
    }
    const std::string word = arguments.front();
    const bool help = word == "--help" || word == "-h";
    if (help || word == "--version") {
      std::cout << (help ? commands_text(name, commands) : version_line(name));
      return 0;
    }
    command = &find_command(commands, word);
    name += " " + word;
    arguments.erase(arguments.begin());
  }
  return command->call({name, command->purpose, command->examples}, arguments);
}

}  // namespace

std::optional<int> prepare(const CommandInfo& info, const Strings& arguments, const OptionTable& options) {
  if (arguments.empty()) {
    std::cerr << short_usage(info, options);
    return static_cast<int>(ExitCode::usage);
  }
  const GeneralOptions general = read_command_line(arguments, options);
  set_log_level(general.quiet ? LogLevel::warn : general.verbose ? LogLevel::debug : LogLevel::info);
  if (general.trust_model) trust_every_model();
  if (general.help) {
    std::cout << help_text(info, options, text_columns());
  } else if (general.version) {
    std::cout << version_line(info.name);
  } else if (general.print_config) {
    std::cout << to_json_text(options) << "\n";
  } else {
    return std::nullopt;
  }
  return 0;
}

int run_program(const std::string& name, const std::vector<Command>& commands, int argc, char** argv) {
  end_on_signals();
  settle_allocation();
  guard_standard_streams();
  std::string command = name;
  try {
    const int code = dispatch(command, commands, Strings(argv + 1, argv + argc));
    const ExitCode delivered = finish_results();
    return delivered == ExitCode::ok ? code : static_cast<int>(delivered);
  } catch (...) {
    Failure failure = describe_failure(std::current_exception());
    if (failure.code == ExitCode::usage && failure.hint.empty()) {
      failure.hint = command + " --help explains every option";
    }
    std::cerr << failure_text(failure);
    return static_cast<int>(failure.code);
  }
}

}  // namespace lora
