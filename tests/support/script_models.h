#pragma once

#include <filesystem>
#include <string>

#include "support/temporary_folder.h"

namespace lora::test {

/// What transformer() returns to ask for 4 PB where a batch has so many positions or more; for fewer it
/// computes the same as without.
std::string too_large_from(int positions);

/// Small TorchScript models written into a temporary folder, which is removed with the object.
class ScriptModels {
 public:
  /// A one-layer transformer with single-head causal attention (matmul and softmax), a residual MLP and a
  /// head of its own. forward(input_ids, attention_mask=None) returns `returns`, code over `logits`:
  /// "logits", "(logits, h)",
  /// "{'logits': logits}".
  std::filesystem::path transformer(const std::string& returns = "logits");

  /// Saves a module with one parameter `w` [8, 8] and the given forward code.
  std::filesystem::path with_forward(const std::string& name, const std::string& code);

  const std::filesystem::path& folder() const { return folder_.path(); }

 private:
  TemporaryFolder folder_;
};

}  // namespace lora::test
