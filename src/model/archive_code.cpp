#include "model/archive_code.h"

#include <algorithm>

#include "lora/base/sha256.h"
#include "lora/base/text.h"

namespace lora {
namespace {

constexpr std::string_view kFolder = "code/", kSuffix = ".py", kConstants = "constants/";

/// LibTorch's root is the folder of the first entry; empty if there is none.
std::string_view root_of(const std::vector<ZipEntry>& entries) {
  const std::string_view first = entries.empty() ? std::string_view() : entries.front().name;
  return first.substr(0, first.find('/') + 1);
}

void add_framed(Sha256& hash, std::string_view path, std::string_view content) {
  hash.update(cat(path, " ", content.size(), "\n")).update(content);
}

}  // namespace

std::string source_path(std::string_view qualifier) {
  std::string path = cat(kFolder, qualifier);
  std::replace(path.begin(), path.end(), '.', '/');
  return path += kSuffix;
}

std::string source_qualifier(std::string_view path) {
  if (!path.starts_with(kFolder) || !path.ends_with(kSuffix) || path.size() < kFolder.size() + kSuffix.size())
    return "";
  std::string qualifier(path.substr(kFolder.size(), path.size() - kFolder.size() - kSuffix.size()));
  std::replace(qualifier.begin(), qualifier.end(), '/', '.');
  return qualifier;
}

const std::string* ArchiveCode::source_of(std::string_view qualifier) const {
  const auto found = sources.find(source_path(qualifier));
  return found == sources.end() ? nullptr : &found->second;
}

ArchiveCode read_archive_code(const std::vector<ZipEntry>& entries, std::uint64_t archive_bytes,
                              const std::string& place) {
  ArchiveCode code;
  const std::string_view root = root_of(entries);
  UnpackingRoom room(archive_bytes, "its code");
  for (const ZipEntry& entry : entries) {
    if (root.empty() || !entry.name.starts_with(root)) continue;
    const std::string path = entry.name.substr(root.size());
    const bool is_pickle = path == "data.pkl" || path == "constants.pkl";
    if (!is_pickle && source_qualifier(path).empty()) continue;
    (is_pickle ? code.pickles : code.sources)[path] = room.unzip(entry, place);
  }
  return code;
}

std::string hash_of_code(const ArchiveCode& code, const std::vector<ZipEntry>& entries) {
  Sha256 hash;
  for (const auto* files : {&code.sources, &code.pickles}) {
    for (const auto& [path, content] : *files) add_framed(hash, path, content);
  }
  const std::string_view root = root_of(entries);
  for (const ZipEntry& entry : entries) {
    if (entry.name.starts_with(cat(root, kConstants)))
      add_framed(hash, entry.name.substr(root.size()), entry.bytes);
  }
  return hash.hex();
}

}  // namespace lora
