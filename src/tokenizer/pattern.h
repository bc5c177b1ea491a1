#pragma once

#include <optional>
#include <string>

#include "tokenizer/regex.h"

namespace lora {

class Component;

/// file error where a tokenizer makes more than so many times the text, and 64 KiB: a short file could ask
/// for any length, while what tokenizers are made for needs a factor of three or so.
void check_growth(std::size_t before, std::size_t after, std::size_t most);

/// What a Split or Replace looks for: {"String": text} or {"Regex": expression}.
class Pattern {
 public:
  explicit Pattern(std::string literal) : literal_(std::move(literal)) {}
  explicit Pattern(Regex regex) : regex_(std::move(regex)) {}
  static Pattern parse(const Component& owner);

  Spans spans(std::string_view text) const;
  /// check_growth() of the result is for a factor of 16.
  std::string replace(std::string_view text, std::string_view by) const;

 private:
  std::string literal_;
  std::optional<Regex> regex_;
};

}  // namespace lora
