#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/zip_archive.h"

namespace lora {

/// What makes LibTorch do something when it loads an archive: sources, and the pickles that say which objects
/// to make of their classes.
struct ArchiveCode {
  /// Path below the archive's root -> content: "code/__torch__/m.py", "data.pkl".
  std::map<std::string, std::string, std::less<>> sources, pickles;

  /// The source that LibTorch asks for by a qualifier ("__torch__.m"); null if there is none.
  const std::string* source_of(std::string_view qualifier) const;
};

/// Unpacks them; nothing else of the archive is touched. file error, which begins with `place`: unpacked they
/// are larger than the archive and 16 MiB, or they are damaged.
ArchiveCode read_archive_code(const std::vector<ZipEntry>& entries, std::uint64_t archive_bytes,
                              const std::string& place);

/// SHA-256 of what a model does besides its weights: sources, pickles, and tensors among its constants.
std::string hash_of_code(const ArchiveCode& code, const std::vector<ZipEntry>& entries);

/// "__torch__.m" -> "code/__torch__/m.py" and back; "" for what is no path of a source.
std::string source_path(std::string_view qualifier);
std::string source_qualifier(std::string_view path);

}  // namespace lora
