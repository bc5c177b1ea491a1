#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace lora {

/// A condition on an option's value. `check` returns an empty string or what is wrong ("must be at least 1").
struct NumberRule {
  std::function<std::string(double)> check;
  std::string text;  ///< for --help: "at least 1"
};
NumberRule at_least(double low);
NumberRule above(double low);
NumberRule between(double low, double high);

/// The allowed words of a string option.
struct OneOf {
  std::vector<std::string> words;
};

/// How an option appears besides its flag `--name`: as a positional argument, or required.
struct Positional {};
struct Required {};

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
// makes flags, help, JSON reading with checks, --print-config and the run record.

}  // namespace lora
