#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <map>
#include <string>

#include "base/json.h"

namespace lora {

/// The bytes of a contiguous CPU tensor.
std::string_view bytes_of(const at::Tensor& tensor);

/// What takes a merge back bit by bit: for each changed tensor its difference from the merged one
/// (byte_planes.h) and the hash of its bytes before. A safetensors file.
class Undo {
 public:
  Undo() = default;
  /// file error for anything but an undo file.
  explicit Undo(const std::filesystem::path& path);

  void add(const std::string& name, const at::Tensor& before, const at::Tensor& after);
  /// Further facts that restoring needs ("base_fingerprint", "history", hashes of files).
  Json facts = Json::object();
  void write(const std::filesystem::path& path) const;

  std::vector<std::string> names() const;
  /// The tensor before the merge. mismatch error if `after` is not what the merge made: the hash differs.
  at::Tensor before(const std::string& name, const at::Tensor& after) const;

 private:
  struct Entry {
    at::Tensor difference;  ///< uint8
    std::string sha256;     ///< of the bytes before
  };
  std::string place_;
  std::map<std::string, Entry> entries_;
};

}  // namespace lora
