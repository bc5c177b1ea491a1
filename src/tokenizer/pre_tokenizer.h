#pragma once

#include <memory>

#include "tokenizer/fragment.h"

namespace lora {

class Component;

/// Splits a text into the words that the model sees.
class PreTokenizer {
 public:
  virtual ~PreTokenizer() = default;
  /// Appends the words of `fragment` to `out`, none of them empty.
  virtual void split(Fragment fragment, Fragments& out) const = 0;
  /// True if words leave it in the byte alphabet of byte_level.h.
  virtual bool makes_bytes() const { return false; }
};

/// File error for a type that is not supported.
std::unique_ptr<PreTokenizer> make_pre_tokenizer(const Component& component);

// Kinds with files of their own.
std::unique_ptr<PreTokenizer> make_byte_level(const Component& component);
std::unique_ptr<PreTokenizer> make_metaspace(const Component& component);

}  // namespace lora
