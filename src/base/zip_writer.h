#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "base/zip_archive.h"

namespace lora {

/// Writes a ZIP archive front to back; each entry's bytes begin at a multiple of 64, as torch.save has it, so
/// that they can be mapped as tensors. ZIP64 where 32 bits do not suffice. The same entries give the same
/// bytes.
class ZipWriter {
 public:
  using Sink = std::function<void(std::string_view)>;
  explicit ZipWriter(Sink sink) : sink_(std::move(sink)) {}

  /// An entry of another archive, as it is packed there.
  void copy(const ZipEntry& entry);
  /// A stored entry.
  void add(const std::string& name, std::string_view bytes);
  /// The directory; nothing may follow.
  void finish();

 private:
  void write(std::string_view bytes);

  Sink sink_;
  std::uint64_t position_ = 0, count_ = 0;
  std::string directory_;
};

}  // namespace lora
