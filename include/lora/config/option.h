#pragma once

#include <functional>
#include <string>
#include <vector>

namespace lora {

// Every option is declared once, in its struct's visit():
//
//   template <class V> void visit(V& v) {
//     v.section("Adapter");
//     v("rank", rank, "inner dimension r; adapter size grows linearly with it", at_least(1));
//   }
//
// The name is the config key ("learning_rate"); the flag is the same with dashes ("--learning-rate"). Field
// types: bool, std::int64_t, double, std::string, std::vector<std::string>, and std::optional of the first
// four ("not set" then means that the program derives the value, which the help text says). The same visit()
// makes flags, help, JSON reading with checks, --print-config and the run record (option_table.h). After the
// help text come facts about the option, in any order:

/// A condition on a number. Never true for NaN.
struct NumberRule {
  std::function<bool(double)> holds;
  std::string text;  ///< completes "must be ...": "at least 1"
};
NumberRule at_least(double low);
NumberRule above(double low);
NumberRule between(double low, double high);

/// The allowed words of a string.
struct OneOf {
  std::vector<std::string> words;
};

/// It must be given, unless one of the named yes/no options is on.
struct Required {
  std::vector<std::string> unless;
};

/// It may also be given without its flag.
struct Positional {};

/// A run folder (or the word "auto") whose recorded options are read first.
struct OptionsOfRun {};

/// A list that on the command line may also be written a,b,c. An item that starts with a slash is not split.
struct CommaSeparated {};

/// What stands for the value in help: "FILE".
struct Placeholder {
  std::string text;
};

}  // namespace lora
