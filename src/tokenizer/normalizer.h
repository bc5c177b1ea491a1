#pragma once

#include <memory>

#include "tokenizer/fragment.h"

namespace lora {

class Component;

/// Changes a text before it is split.
class Normalizer {
 public:
  virtual ~Normalizer() = default;
  /// `at_start` is cleared where the first character goes.
  virtual void apply(Fragment& fragment) const = 0;
};

/// File error for a type that is not supported.
std::unique_ptr<Normalizer> make_normalizer(const Component& component);

// Kinds with files of their own.
std::unique_ptr<Normalizer> make_bert_normalizer(const Component& component);
std::unique_ptr<Normalizer> make_precompiled_normalizer(const Component& component);

/// Keeps the characters that `keep` accepts.
template <class Keep>
void keep_chars(Fragment& fragment, Keep keep) {
  std::string kept;
  kept.reserve(fragment.text.size());
  for (std::size_t at = 0; at < fragment.text.size();) {
    const std::size_t begin = at;
    if (keep(next_char(fragment.text, at))) {
      kept.append(fragment.text, begin, at - begin);
    } else if (begin == 0) {
      fragment.at_start = false;
    }
  }
  fragment.text = std::move(kept);
}

void lower_chars(Fragment& fragment);

}  // namespace lora
