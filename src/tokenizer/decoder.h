#pragma once

#include <memory>
#include <string>
#include <vector>

namespace lora {

class Component;

/// Turns tokens back into text: a chain of changes to the list of tokens, which is then joined.
class Decoder {
 public:
  virtual ~Decoder() = default;
  virtual void apply(std::vector<std::string>& tokens) const = 0;
};

/// File error for a type that is not supported.
std::unique_ptr<Decoder> make_decoder(const Component& component);

}  // namespace lora
