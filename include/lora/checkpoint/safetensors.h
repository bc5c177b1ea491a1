#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/ScalarType.h>

#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "lora/base/files.h"

namespace lora {

using TensorMap = std::map<std::string, at::Tensor>;

struct SafetensorsFile {
  TensorMap tensors;
  std::map<std::string, std::string> metadata;
};

/// Strict reader: every defect of the format (overlap, hole, overflow, huge header, trailing bytes, duplicate
/// or unknown keys, wrong sizes) is a file error naming file and tensor, found before memory is allocated for
/// it.
SafetensorsFile read_safetensors(const std::filesystem::path& path);
SafetensorsFile parse_safetensors(std::string_view bytes, const std::string& place);

/// One tensor of a file: its form, and the place of its bytes behind the header.
struct SafetensorsEntry {
  std::string name;
  at::ScalarType dtype;
  std::vector<std::int64_t> shape;
  std::uint64_t begin = 0, end = 0;
};

/// A file in place: checked as a whole when it is opened, its tensors read from the mapping when they are
/// asked for.
class MappedSafetensors {
 public:
  /// As read_safetensors.
  explicit MappedSafetensors(const std::filesystem::path& path);

  const std::filesystem::path& path() const { return path_; }
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  /// In the order of their bytes.
  const std::vector<SafetensorsEntry>& entries() const { return entries_; }
  /// The bytes before the data: length and JSON, as they are.
  std::string_view header() const { return header_; }
  std::string_view bytes(const SafetensorsEntry& entry) const;
  /// A view of the mapping, which must outlive it; not to be written to. A copy where the bytes are not
  /// aligned.
  at::Tensor tensor(const SafetensorsEntry& entry) const;

 private:
  std::filesystem::path path_;
  MappedFile file_;
  std::map<std::string, std::string> metadata_;
  std::vector<SafetensorsEntry> entries_;
  std::string_view header_, data_;
};

/// Bytes as the reference writer orders them (wider dtype first, then name), header padded to 8.
std::string serialize_safetensors(const SafetensorsFile& file);

}  // namespace lora
