#pragma once

#include <ATen/ATen.h>

#include <fstream>
#include <iostream>
#include <iterator>
#include <sstream>
#include <string>
#include <vector>

#include "lora/checkpoint/adapter_folder.h"
#include "support/every_kind_model.h"

namespace lora::test {

/// An adapter with random tensors, so that nothing in it is zero.
inline Adapter random_adapter(const Program& program, const std::vector<std::string>& patterns,
                              const std::vector<std::string>& saved = {},
                              MethodConfig config = {"lora", 2, 4, 0}) {
  Adapter adapter =
      create_adapter(program, resolve_targets(program.sites(), {patterns, {}, ""}), config, saved, 1);
  at::manual_seed(9);
  for (auto& [name, tensor] : adapter.tensors()) tensor->add_(at::randn(tensor->sizes()) * 0.2);
  return adapter;
}

inline AdapterProvenance provenance_of(const Program& program) {
  return {"tiny-base", program.fingerprint(), "abc", {{"step", "12"}}};
}

inline std::string file_text(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

inline void put_text(const std::filesystem::path& path, const std::string& text) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << text;
}

/// Replaces the first `from` in a file.
inline void edit(const std::filesystem::path& path, const std::string& from, const std::string& to) {
  std::string text = file_text(path);
  text.replace(text.find(from), from.size(), to);
  put_text(path, text);
}

/// What `action` writes to stdout.
template <class Action>
std::string output_of(Action action) {
  std::ostringstream captured;
  std::streambuf* const before = std::cout.rdbuf(captured.rdbuf());
  try {
    action();
  } catch (...) {
    std::cout.rdbuf(before);
    throw;
  }
  std::cout.rdbuf(before);
  return captured.str();
}

}  // namespace lora::test
