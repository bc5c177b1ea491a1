#pragma once

#include <string>

namespace lora {

class Component;

/// Metaspace's settings, shared by its pre-tokeniser and its decoder: spaces are written as `replacement`,
/// and words that do not begin with one may get one.
struct Metaspace {
  enum class Prepend { never, first, always };

  std::string replacement;  ///< one character, usually U+2581
  Prepend prepend = Prepend::always;
  bool split = true;  ///< cut before each replacement

  static Metaspace parse(const Component& component);
};

}  // namespace lora
