#pragma once

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "config/help.h"
#include "lora/config/option_table.h"

namespace lora {

/// One thing a program does.
struct Command {
  std::string word;  ///< its name on the command line; empty for the only command of a program
  std::string purpose;
  std::vector<std::string> examples;
  std::function<int(const CommandInfo&, const std::vector<std::string>& arguments)> call;
};

/// Fills `options` from the command line and sets the log level. Returns the exit code if nothing is left to
/// do: help, version or configuration was printed, or there were no arguments.
std::optional<int> prepare(const CommandInfo& info, const std::vector<std::string>& arguments,
                           const OptionTable& options);

/// A command whose options are Config's and whose work is `function`.
template <class Config>
Command command(std::string word, std::string purpose, std::vector<std::string> examples,
                int (*function)(const Config&)) {
  const auto call = [function](const CommandInfo& info, const std::vector<std::string>& arguments) {
    Config config;
    const auto done = prepare(info, arguments, options_of(config));
    return done ? *done : function(config);
  };
  return {std::move(word), std::move(purpose), std::move(examples), call};
}

/// The body of main: picks the command, runs it, and turns every exception into a message and an exit code.
int run_program(const std::string& name, const std::vector<Command>& commands, int argc, char** argv);

}  // namespace lora
