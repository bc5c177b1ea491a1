#pragma once

#include <optional>
#include <string>

#include "tokenizer/regex.h"

namespace lora {

class Component;

/// What a Split or Replace looks for: {"String": text} or {"Regex": expression}.
class Pattern {
 public:
  explicit Pattern(std::string literal) : literal_(std::move(literal)) {}
  explicit Pattern(Regex regex) : regex_(std::move(regex)) {}
  static Pattern parse(const Component& owner);

  Spans spans(std::string_view text) const;
  std::string replace(std::string_view text, std::string_view by) const;

 private:
  std::string literal_;
  std::optional<Regex> regex_;
};

}  // namespace lora
