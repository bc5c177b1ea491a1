#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace lora::fuzz {

/// A parser, and inputs that it accepts.
struct FuzzTarget {
  std::string name;
  /// Reads the input. A lora::Error that the input deserves (data, file, usage, mismatch) is an answer;
  /// everything else that leaves it is a defect.
  void (*read)(std::string_view input);
  std::vector<std::string> (*seeds)();
  /// Inputs of some megabytes, made to take much memory; may be null.
  std::vector<std::string> (*large)();
  /// What reading may take at most, as a multiple of the input besides 16 MiB. Documents of
  /// JSON, pickles and code, which become trees of values, take more.
  double memory_factor = 2;
};

const std::vector<FuzzTarget>& fuzz_targets();

/// The target's read() with the errors that are answers. Rethrows defects.
void try_input(const FuzzTarget& target, std::string_view input);

std::vector<FuzzTarget> binary_targets();
std::vector<FuzzTarget> text_targets();
std::vector<FuzzTarget> code_targets();

}  // namespace lora::fuzz
