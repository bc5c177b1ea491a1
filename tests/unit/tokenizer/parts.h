#pragma once

#include <string>

#include "tokenizer/component.h"

namespace lora::test {

/// A component of tokenizer.json from its text.
class Parsed {
 public:
  explicit Parsed(const std::string& text) : json_(parse_json(text, {"tokenizer.json", ExitCode::file})) {}
  Component component() const { return Component(json_, "tokenizer.json"); }

 private:
  Json json_;
};

/// Quotes a text for JSON.
inline std::string quoted(const std::string& text) { return Json(text).dump(); }

}  // namespace lora::test
